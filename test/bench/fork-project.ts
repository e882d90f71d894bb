/** What the rows of freezing and forking share: a project with the labs that they fork, and these labs as the compiled program prepares them. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {type EventSink, noEvents} from '../../lab/event/event.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import type {BootRequest, Lab, LabParts} from '../../lab/runtime/lab.ts';
import {withLab} from '../../lab/runtime/with-lab.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import {bootLab, loadScenario, makeChain, openStore, preparePlan} from './compiled.ts';

/** One machine with nothing but `base`. */
export const smallScenario = 'bench-small';
/** The lab of `ipv4`, with the same plan key, and one step that does nothing. */
export const wholeScenario = 'bench-whole';
/** `ipv4` itself under other names, so that it can run beside itself. */
export const copiesOfIpv4: readonly string[] = ['bench-ipv4-1', 'bench-ipv4-2', 'bench-ipv4-3', 'bench-ipv4-4'];

const step = 'async steps({step}) { await step(\'it is up\', async () => {}); }';

/** Runs `use` while the project is there, and is the one of this process. */
export async function withForkProject<Value>(use: (project: string) => Promise<Value>): Promise<Value> {
	return withTemporaryFolder(async (project) => {
		const scripts = path.join(packageFolder, 'scripts');
		const files: Readonly<Record<string, string>> = {
			'package.json': '{"type": "module"}',
			[`scripts/${smallScenario}.ts`]: `import {defineScenario} from 'vmlab';
export default defineScenario({
	summary: 'One machine, for the benchmark', budget: '1m',
	lab: {machines: {node: {count: 1, memory: '512MiB'}}, overlays: ['base']},
	${step},
});
`,
			[`scripts/${wholeScenario}.ts`]: `import {defineScenario} from 'vmlab';
import {clusterLab} from ${JSON.stringify(path.join(scripts, 'labs/kubernetes.ts'))};
export default defineScenario({
	summary: 'The lab of ipv4, for the benchmark', budget: '1m', lab: clusterLab(['ipv4']),
	${step},
});
`,
			...Object.fromEntries(copiesOfIpv4.map((name) => [`scripts/${name}.ts`, `export {default} from ${JSON.stringify(path.join(scripts, 'ipv4.ts'))};\n`])),
		};
		await mkdir(path.join(project, 'scripts'));
		for (const [name, text] of Object.entries(files)) {
			await writeFile(path.join(project, name), text);
		}

		const before = process.env['VMLAB_PROJECT'];
		process.env['VMLAB_PROJECT'] = project;
		try {
			return await use(project);
		} finally {
			if (before === undefined) {
				delete process.env['VMLAB_PROJECT'];
			} else {
				process.env['VMLAB_PROJECT'] = before;
			}
		}
	});
}

/** A lab with all that a fork of it needs. */
export interface PreparedLab {
	readonly plan: Plan;
	/** The stages, and the frozen lab as the last one. */
	readonly made: ReadonlyMap<string, MadeStage>;
}

/** Makes what is missing for forks of a scenario's lab, the frozen lab included. */
export async function prepareFork(scenario: string): Promise<PreparedLab> {
	const [{scenario: {lab}, file}, store] = await Promise.all([loadScenario(scenario), openStore()]);
	const plan = await preparePlan(lab, {settings: [], file});
	return {plan, made: await makeChain({plan, store, events: noEvents, signal: new AbortController().signal})};
}

let count = 0;

/** Forks a prepared lab in this process, and ends it after `use`, whatever happens. */
export async function withFork<Value>(
	{plan, made}: PreparedLab, use: (lab: Lab) => Promise<Value>, options: {events?: EventSink; parts?: LabParts} = {},
): Promise<Value> {
	const request: BootRequest = {name: `bench-${process.pid}-${count++}`, plan, made, events: options.events ?? noEvents, signal: new AbortController().signal};
	return withLab(await (options.parts === undefined ? bootLab(request) : bootLab(request, options.parts)), request.events, use);
}
