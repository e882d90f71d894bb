/** A bench for tests that freeze and fork: with a small lab, and a cache of its own that may be pruned and broken. */
import {mkdir, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {ExecutionContext, TestFn} from 'ava';
import {run} from '../../lab/host/program.ts';
import {openStore} from '../../lab/store/open-store.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import type {CommandOptions, CommandOutcome} from './command.ts';
import {benchFor} from './machines.ts';

/** The scenario's name. */
export const scenario = 'two';

/** The bench. */
export interface ForkBench {
	readonly folder: string;
	readonly state: string;
	readonly cache: string;
	/** What all commands have in their environment; this process has it too. */
	readonly env: Readonly<Record<string, string>>;
	run(words: readonly string[], options?: CommandOptions): Promise<CommandOutcome>;
	expect(t: ExecutionContext<any>, code: number, words: readonly string[], options?: CommandOptions): Promise<string>;
	/** What a machine of a lab says to a command that must succeed. */
	ask(t: ExecutionContext<any>, lab: string, machine: string, command: string): Promise<string>;
	/** The stages of the bench's cache that have such a name. */
	stages(name: string): Promise<MadeStage[]>;
}

/** The lab of it, as its script has it. */
export const labDeclaration = '{machines: {node: {count: 2, memory: \'512MiB\'}}, overlays: [\'base\', \'iptools\']}';

const script = `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'Two nodes on one network',
	budget: '2m',
	lab: ${labDeclaration},
	async steps({step, node}) {
		await step('node-1 reaches node-2', async () => {
			await node('node-1').$\`ping -c 2 -i 0.2 -W 20 192.168.1.2\`;
		});
	},
});
`;

/** Opens a bench for the tests of a file. Stages are built in the cache of all tests, and linked into the bench's own. */
export function forkBenchFor(test: TestFn<any>): ForkBench {
	const bench = benchFor(test);
	const environment = (): Record<string, string> => ({
		VMLAB_PROJECT: path.join(bench.folder, 'project'), VMLAB_CACHE_DIR: path.join(bench.folder, 'cache'), VMLAB_STATE_DIR: bench.state,
	});
	test.serial.before('the stages of the lab are there', async (t) => {
		t.timeout(30 * 60_000);
		const {VMLAB_PROJECT: project = '', VMLAB_CACHE_DIR: cache = ''} = environment();
		await mkdir(path.join(project, 'scripts'), {recursive: true});
		await writeFile(path.join(project, 'package.json'), '{"type": "module"}');
		await writeFile(path.join(project, 'scripts', `${scenario}.ts`), script);
		await bench.expect(t, 0, ['build', scenario], {env: {VMLAB_PROJECT: project}});
		const {stages} = JSON.parse(await bench.expect(t, 0, ['plan', scenario, '-o', 'json'], {env: {VMLAB_PROJECT: project}})) as {stages: Array<{name: string; key: string; folder?: string}>};
		await mkdir(path.join(cache, 'stages'), {recursive: true});
		for (const {key, folder} of stages.filter(({name}) => name !== 'ready lab')) {
			const [from, to] = [path.dirname(folder ?? ''), path.join(cache, 'stages', key)];
			// What is linked is never written to. Between filesystems there are no links.
			await run('cp', ['--archive', '--link', from, to]).catch(async () => {
				await rm(to, {recursive: true, force: true});
				await run('cp', ['--archive', '--sparse=always', from, to]);
			});
		}

		Object.assign(process.env, environment());
	});
	const withEnvironment = (options: CommandOptions = {}): CommandOptions => ({...options, env: {...environment(), ...options.env}});
	return {
		get folder() {
			return bench.folder;
		},
		get state() {
			return bench.state;
		},
		get cache() {
			return path.join(bench.folder, 'cache');
		},
		get env() {
			return environment();
		},
		run: async (words, options) => bench.run(words, withEnvironment(options)),
		expect: async (t, code, words, options) => bench.expect(t, code, words, withEnvironment(options)),
		ask: async (t, lab, machine, command) => (await bench.expect(t, 0, ['exec', lab, machine, '--', command], withEnvironment())).trim(),
		stages: async (name) => (await (await openStore(path.join(bench.folder, 'cache'))).list()).filter((stage) => stage.name === name),
	};
}
