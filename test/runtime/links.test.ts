/** The links of a lab, with a fabric that keeps what it is told, and machines that do too. */
import test from 'ava';
import {changedSetting, type LinkChange, type LinkSetting, plainLink} from '../../lab/fabric/link-setting.ts';
import type {DirectionReport, LinkReport} from '../../lab/fabric/link.ts';
import {failure} from '../../lab/host/failure.ts';
import {until} from '../../lab/host/wait.ts';
import {type LabLinks, openLinks} from '../../lab/runtime/links.ts';
import {linkDirections} from '../../lab/spec/impairment.ts';
import {standInPlan} from './stand-ins.ts';

const link = 'node-2@cluster';

interface Scene {
	readonly links: LabLinks;
	/** What machines were told: 'node-2 nic-link0 down'. */
	readonly told: string[];
	/** What was told of faults: 'node-2@cluster fault cut'. */
	readonly faults: string[];
	readonly setting: () => LinkSetting;
	readonly changes: LinkChange[];
	/** A machine that does not answer its monitor. */
	readonly broken: Set<string>;
}

function scene(initial: LinkSetting = plainLink): Scene {
	const settings = new Map([['node-1@cluster', plainLink], [link, initial]]);
	const [told, faults, changes, broken]: [string[], string[], LinkChange[], Set<string>] = [[], [], [], new Set()];
	const links = openLinks({
		machines: standInPlan(['node-1', 'node-2']).machines,
		fabric: {
			links: async () => [...settings].map(([name, setting]) => reportOf(name, setting)),
			async changeLink(change) {
				changes.push(change);
				const before = settings.get(change.link)!;
				settings.set(change.link, changedSetting(before, change));
				return before;
			},
		},
		monitorOf: (machine) => ({
			async execute(command, args) {
				if (broken.has(machine)) {
					throw failure.monitorLost(machine, 'it has ended');
				}

				told.push(`${machine} ${command} ${String(args?.['name'])} ${args?.['up'] === true ? 'up' : 'down'}`);
				return {};
			},
		}),
		tell(of, {reason, fault}) {
			faults.push(`${of} ${reason} ${fault}`);
		},
	});
	return {links, told, faults, changes, broken, setting: () => settings.get(link)!};
}

function reportOf(name: string, {carrier, flap, impairments}: LinkSetting): LinkReport {
	const [from, to] = linkDirections.map((direction) => ({
		impairments: impairments.filter((impairment) => impairment.direction === direction).map((impairment) => ({...impairment, frames: 0})),
	}) as Partial<DirectionReport> as DirectionReport);
	return {link: name, machine: name.split('@')[0]!, network: 'cluster', carrier, ...(flap && {flap}), from: from!, to: to!};
}

async function toldSoOften({told}: Scene, count: number): Promise<void> {
	await until(`machines are told ${count} times`, async () => (told.length >= count ? {met: true, value: undefined} : {met: false, seen: `${told.length} times`}), {deadline: 20_000, interval: 20});
}

test('a carrier that goes or comes is told to the machine, by its NIC, and one that stays is not', async (t) => {
	const {links, told} = scene();
	t.deepEqual(await links.change({kind: 'carrier', link, carrier: 'down'}), plainLink);
	await links.change({kind: 'carrier', link, carrier: 'down'});
	await links.change({kind: 'impair', link, impairments: [{direction: 'to', cut: true}]});
	await links.change({kind: 'clear', link});
	t.deepEqual(told, ['node-2 set_link nic-link0 down', 'node-2 set_link nic-link0 up']);
});

test('what begins or ends to be wrong with a link is told once, in words, and a carrier that flaps not each time', async (t) => {
	const stage = scene();
	const {links, faults} = stage;
	const told = (): string[] => faults.splice(0).map((each) => each.replace(`${link} `, ''));
	await links.change({kind: 'impair', link, impairments: [{direction: 'from', cut: true}, {direction: 'to', cut: true}]});
	await links.change({kind: 'impair', link, impairments: [{direction: 'from', cut: true}]});
	t.deepEqual(told(), ['fault cut']);
	const before = await links.change({kind: 'impair', link, impairments: [{direction: 'to', loss: 0.05}]});
	t.deepEqual(told(), ['recovered cut', 'fault from the machine: cut', 'fault to the machine: loss 5%']);
	await links.change({kind: 'put', link, setting: before});
	t.deepEqual(told(), ['recovered from the machine: cut', 'recovered to the machine: loss 5%', 'fault cut']);
	await links.change({kind: 'carrier', link, carrier: 'up', flap: {up: 5, down: 5}});
	await toldSoOften(stage, 4);
	await links.change({kind: 'clear', link});
	t.deepEqual(told(), ['fault flapping (5ms with a carrier, 5ms without)', 'recovered cut', 'recovered flapping (5ms with a carrier, 5ms without)']);
});

test('where the machine cannot be told, all is as before, and nothing is told of it', async (t) => {
	const {links, broken, faults, setting} = scene();
	broken.add('node-2');
	await t.throwsAsync(links.change({kind: 'carrier', link, carrier: 'down'}), {code: 'monitor-lost'});
	t.deepEqual(faults, []);
	t.deepEqual(setting(), plainLink);
	await t.notThrowsAsync(links.change({kind: 'impair', link, impairments: [{direction: 'to', cut: true}]}), 'no machine has to know of that');
});

test('a carrier flaps until it is set for good', async (t) => {
	const stage = scene();
	const {links, told, setting} = stage;
	await links.change({kind: 'carrier', link, carrier: 'up', flap: {up: 5, down: 5}});
	await toldSoOften(stage, 4);
	await links.change({kind: 'carrier', link, carrier: 'up'});
	const {length} = told;
	t.deepEqual(told.slice(0, 4).map((each) => each.split(' ').at(-1)), ['down', 'up', 'down', 'up']);
	t.deepEqual(setting(), plainLink);
	// Nothing is armed any more: what would be would be in turn before this.
	await links.change({kind: 'impair', link, impairments: []});
	t.is(told.length, length);
	links.stop();
});

test('while nothing may change no carrier flaps and no change is made, and both go on afterwards', async (t) => {
	const stage = scene();
	const {links, told, changes} = stage;
	await links.change({kind: 'carrier', link, carrier: 'up', flap: {up: 5, down: 5}});
	await toldSoOften(stage, 1);
	let waiting: Promise<unknown> | undefined;
	await links.unchanged(async () => {
		const before = [told.length, changes.length];
		waiting = links.change({kind: 'impair', link: 'node-1@cluster', impairments: [{direction: 'to', cut: true}]});
		const begin = performance.now();
		await until('some flaps long', async () => (performance.now() - begin > 60 ? {met: true, value: undefined} : {met: false, seen: 'not yet'}), {deadline: 5000, interval: 10});
		t.deepEqual([told.length, changes.length], before);
	});
	await waiting;
	t.true(changes.some((change) => change.link === 'node-1@cluster'));
	await toldSoOften(stage, told.length + 2);
	links.stop();
});

test('a fork tells its machines what they do not have, and flaps on', async (t) => {
	const down = scene({...plainLink, carrier: 'down'});
	await down.links.takeUp();
	t.deepEqual(down.told, ['node-2 set_link nic-link0 down']);
	const flapping = scene({...plainLink, flap: {up: 5, down: 5}});
	await flapping.links.takeUp();
	await toldSoOften(flapping, 2);
	flapping.links.stop();
});

test('what is wrong with a link of a fork from its start is told then, and not again after what a step does', async (t) => {
	const delayed: LinkSetting = {...plainLink, impairments: [{direction: 'to', delay: 20}]};
	const {links, faults, setting} = scene(delayed);
	await links.takeUp();
	t.deepEqual(faults.splice(0), [`${link} fault to the machine: delay 20ms`]);
	await links.change({kind: 'impair', link, impairments: [{direction: 'from', cut: true}]});
	await links.change({kind: 'put', link, setting: delayed});
	t.deepEqual(faults.splice(0), [`${link} fault from the machine: cut`, `${link} recovered from the machine: cut`]);
	t.deepEqual(setting(), delayed);
	// A machine that is powered on again has what it had.
	await links.takeUp('node-2');
	t.deepEqual(faults, []);
});

test('what failed does not keep the next change from being made', async (t) => {
	const {links, broken, setting} = scene();
	broken.add('node-2');
	const changes = [links.change({kind: 'carrier', link, carrier: 'down'}), links.change({kind: 'impair', link, impairments: [{direction: 'to', cut: true}]})];
	t.deepEqual((await Promise.allSettled(changes)).map(({status}) => status), ['rejected', 'fulfilled']);
	t.deepEqual(setting().impairments, [{direction: 'to', cut: true}]);
});
