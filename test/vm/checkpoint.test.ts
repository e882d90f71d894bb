/** Going back in time, and a scenario that is run again and again: each time on a lab of its own. */
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {outcomeText} from '../rig/command.ts';
import {readEvents} from '../rig/events-file.ts';
import {forkBenchFor, labDeclaration} from '../rig/fork-bench.ts';

const bench = forkBenchFor(test);
const long = 30 * 60_000;

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

/** A scenario whose story is one's own words, with a mark on node-1 that it can make and read. */
async function writeScenario(name: string, steps: string): Promise<void> {
	await writeFile(path.join(bench.folder, 'project/scripts', `${name}.ts`), `import {claim, defineScenario} from 'vmlab';

let runs = 0;

export default defineScenario({summary: 'Goes back', budget: '2m', lab: ${labDeclaration}, async steps({step, eventually, node}) {
	const mark = async () => (await node('node-1').try$\`cat /run/mark\`).stdout;
	const makeMark = async () => node('node-1').$\`echo made >>/run/mark\`;
${steps}
}});
`);
}

const first = `
	const given = await step('a mark is made', async () => {
		await makeMark();
		return new Map([['word', 'given']]);
	});`;

test.serial('a failed step is entered again from just before it, as often as one likes, with an edited script', async (t) => {
	t.timeout(long);
	await writeScenario('back', `${first}
	await step('the mark is another', async () => claim(await mark() === 'another', 'the mark is not another'));`);
	const failed = await bench.run(['run', 'back', '--checkpoint']);
	t.is(failed.code, 1, outcomeText(failed));
	const names = [...failed.stderr.matchAll(/Checkpoint (\S+)/g)].map(([, name = '']) => name);
	t.deepEqual(names.map((name) => name.split('/')[1]), ['01-a-mark-is-made', '02-the-mark-is-another']);
	const [, before = ''] = names;

	await writeScenario('back', `${first}
	await step('the mark is another', async () => {
		claim(await mark() === 'made' && given.get('word') === 'given', 'it has ' + await mark() + ' and ' + given.get('word'));
		await makeMark();
	});`);
	for (const time of ['first', 'second']) {
		const report = path.join(bench.folder, time);
		await bench.expect(t, 0, ['run', 'back', '--from', before, '--report', report]);
		const events = await readEvents(path.join(report, 'events.jsonl'));
		t.deepEqual(events.flatMap((event) => (event.type === 'step' && event.reason === 'passed' ? [event.step] : [])), ['the mark is another'], time);
	}

	await bench.expect(t, 0, ['fork', '--at', before, '--lab', 'then']);
	t.is(await bench.ask(t, 'then', 'node-1', 'cat /run/mark'), 'made');
	await bench.expect(t, 0, ['down', 'then']);
	const unknown = await bench.run(['run', 'back', '--from', `${before}-more`]);
	t.is(unknown.code, 2, outcomeText(unknown));
	t.regex(unknown.stderr, /02-the-mark-is-another/);
});

test.serial('a machine that a step reboots is ready in the checkpoint of the next', async (t) => {
	t.timeout(long);
	await writeScenario('again', `
	await step('it boots anew', async () => {
		await makeMark();
		await node('node-1').$\`systemctl reboot\`.catch(() => {});
		await eventually('nothing is left of the mark', async () => claim(await mark().catch(String) === '', 'it has the mark, or is silent'), {deadline: '30s'});
	});
	await step('it has no mark', async () => claim(await mark() === '', 'it has a mark: ' + await mark()));`);
	const {code, stderr} = await bench.run(['run', 'again', '--checkpoint']);
	t.is(code, 0, stderr);
	t.regex(stderr, /node-1: reboots[^]*node-1 is ready[^]*Checkpoint \S+02-it-has-no-mark/);
});

test.serial('a scenario that fails now and then is found out by repeating it, each time on a lab of its own, two at once', async (t) => {
	t.timeout(long);
	await writeScenario('flaky', `
	const run = ++runs;
	await step('nobody was here', async () => {
		claim(await mark() === '', 'it has a mark: ' + await mark());
		await makeMark();
		claim(run !== 2, 'the second one fails');
	});`);
	const report = path.join(bench.folder, 'flaky');
	const outcome = await bench.run(['run', 'flaky', '--repeat', '3', '--jobs', '2', '--report', report, '-o', 'json']);
	t.is(outcome.code, 1, outcomeText(outcome));
	t.regex(outcome.stderr, /flaky failed 1 of 3 times: flaky-[123]\n2 of 3 runs passed/);
	const results = JSON.parse(outcome.stdout) as Array<{scenario: string; passed: boolean}>;
	t.deepEqual(results.map(({scenario}) => scenario).sort(), ['flaky-1', 'flaky-2', 'flaky-3']);
	t.is(results.filter(({passed}) => passed).length, 2);
	let most = 0;
	let now = 0;
	for (const event of await readEvents(path.join(report, 'events.jsonl'))) {
		if (event.type === 'lab' && event.lab.startsWith('flaky')) {
			now += event.reason === 'starting' ? 1 : event.reason === 'ended' ? -1 : 0;
			most = Math.max(most, now);
		}
	}

	t.is(most, 2);
	t.regex(outcome.stderr, /the second one fails/);
});
