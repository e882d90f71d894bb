import test from 'ava';
import type {Recording, RecordedFrame} from '../../lab/fabric/recording.ts';
import {LabError} from '../../lab/host/error.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {defineScenario, type StepContext} from '../../lab/scenario/scenario.ts';
import {ip, tcp, udp} from '../fabric/packets.ts';
import {createFakeLab} from './fake-lab.ts';

/** A lab whose links have carried these frames. */
async function play(recording: (since: number) => Recording, steps: (context: StepContext) => Promise<void>): Promise<LabError | undefined> {
	const lab = {...createFakeLab(), recording: async (since: number) => recording(since)};
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '20s', steps});
	return runScenario({name: 'story', scenario, lab, events() {}, signal: new AbortController().signal}).then(() => undefined, (error: LabError) => error);
}

function frame(bytes: Buffer): RecordedFrame {
	return {link: 'node-1@cluster', direction: 'from', time: Date.now(), length: bytes.length, bytes};
}

const web = frame(ip('tcp', '192.168.1.1', '10.0.0.2', tcp(40_000, 80, {flags: 'S', sequence: 1})));
const other = frame(ip('tcp', '192.168.1.1', '10.0.0.2', tcp(40_001, 80, {flags: 'S', sequence: 2})));
const dns = frame(ip('udp', '192.168.1.1', '12.0.0.10', udp(5000, 53)));
const links = [{name: 'node-1@cluster', since: 0, overwritten: 0}];

test('a step sees the flows since it began, or since when it says', async (t) => {
	const asked: number[] = [];
	const times: number[] = [];
	const error = await play((since) => {
		asked.push(since);
		return {frames: [web, dns], links};
	}, async ({step, fabric}) => {
		times.push(Date.now());
		await fabric.flows();
		await step('outer', async () => {
			times.push(Date.now());
			await step('inner', async () => {
				t.is((await fabric.flow({protocol: 'tcp', port: 80})).from.port, 40_000);
			});
			t.deepEqual((await fabric.flows()).map(({protocol}) => protocol), ['tcp', 'udp']);
			t.deepEqual(await fabric.flows({address: '10.9.9.9'}), []);
			await fabric.flows({}, {since: 4711});
		});
	});
	t.is(error, undefined);
	t.true(asked[0]! <= times[0]!);
	t.true(asked[1]! >= times[0]! && asked[1]! <= times[1]!);
	t.is(asked[2], asked[1]!, 'a step within another does not begin anew');
	t.is(asked[4], 4711);
});

test('a question that would be ignored in part is refused', async (t) => {
	for (const [query, expected] of [[{destPort: 80}, /destPort/], [{vlan: 10}, /vlan/], [{protocol: 'arp'}, /ARP/]] as const) {
		const error = await play(() => ({frames: [web], links}), async ({step, fabric}) => {
			await step('nothing goes there', async () => {
				await fabric.flows(query as never);
			});
		});
		t.regex(error?.message ?? '', expected);
	}
});

test('a flow that is not there fails the step with what was there', async (t) => {
	const error = await play(() => ({frames: [dns], links}), async ({step, fabric}) => {
		await step('the pod asks the server', async () => {
			await fabric.flow({family: 'ipv4', protocol: 'tcp', destinationPort: 80});
		});
	});
	t.is(error?.code, 'step-failed');
	t.is(error?.message, 'the pod asks the server: No flow crossed the links that is tcp over ipv4 with destination port 80');
	t.deepEqual(error?.details.slice(0, 3), [
		'What crossed them:', 'udp 192.168.1.1:5000 -> 12.0.0.10:53: not answered; frames there 1, back 0', '  there from node-1@cluster: 192.168.1.1:5000 -> 12.0.0.10:53, 1',
	]);
	const silent = await play(() => ({frames: [], links}), async ({step, fabric}) => step('x', async () => {
		await fabric.flow();
	}));
	t.is(silent?.message, 'x: No flow crossed the links that is of any protocol');
	t.is(silent?.details[0], 'No flow crossed them at all.');
});

test('of several flows one is not chosen by chance', async (t) => {
	const error = await play(() => ({frames: [web, other], links}), async ({step, fabric}) => step('x', async () => {
		await fabric.flow({port: 80});
	}));
	t.is(error?.message, 'x: 2 flows crossed the links that are of any protocol with port 80, and one was wanted');
	t.is(error?.details.filter((line) => line.startsWith('tcp')).length, 2);
});

test('nothing is said of what was not seen: where frames since the moment were overwritten, a query fails', async (t) => {
	const cut = (since: number): Recording => ({frames: [web], links: [...links, {name: 'router-1@cluster', since: since + 5, overwritten: 12}]});
	const refuted = await play(cut, async (context) => {
		await context.refuted('something went there', async () => {
			await context.fabric.flow({port: 9999});
		});
	});
	t.regex(refuted?.message ?? '', /^refuted: something went there: Not all frames since /);
	const error = await play(cut, async ({step, fabric}) => {
		await step('what there is can be had', async () => {
			t.is((await fabric.flows({}, {partial: true})).length, 1);
		});
		await step('and nothing went there', async () => {
			t.deepEqual(await fabric.flows({port: 9999}), []);
		});
	});
	t.is(error?.code, 'step-failed');
	t.regex(error?.message ?? '', /^and nothing went there: Not all frames since \d{4}-.* are recorded any more/);
	t.regex(error?.details[0] ?? '', /^router-1@cluster: only from .* on; 12 frames of before were overwritten$/);
});

test('frames that were overwritten before the moment do not matter', async (t) => {
	const error = await play((since) => ({frames: [web], links: [{name: 'node-1@cluster', since: since - 1, overwritten: 12}]}), async ({step, fabric}) => step('x', async () => {
		t.is((await fabric.flows()).length, 1);
	}));
	t.is(error, undefined);
});
