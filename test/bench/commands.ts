/** Rows that boot nothing, or count only: the command line itself, and what a second run makes. */
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {listRuns} from '../../lab/spec/load.ts';
import {vmlab, vmlabProgram} from '../rig/command.ts';
import {readEvents} from '../rig/events-file.ts';
import {compareWithNode, mustRun, round, type RowSink} from './measure.ts';

/** `vmlab --help` against bare node. */
export async function measureHelp(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	const {ratio, seconds, baseline} = await compareWithNode([vmlabProgram, '--help'], 15);
	await found({
		name: 'help', value: round(ratio), unit: 'times', goal: '< 6', met: ratio < 6,
		compared: {'vmlab --help, s': round(seconds), 'node -e 0, s': round(baseline)},
	});
}

/** `vmlab plan ipv4`, all built, against the same. */
export async function measurePlan(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await mustRun(['build', 'ipv4']);
	const {ratio, seconds, baseline} = await compareWithNode([vmlabProgram, 'plan', 'ipv4'], 9);
	await found({
		name: 'plan-warm', value: round(ratio), unit: 'times', goal: '< 25', met: ratio < 25,
		compared: {'vmlab plan ipv4, s': round(seconds), 'node -e 0, s': round(baseline)},
	});
}

/** Stages that a run of ipv4 makes when another has been before: from its events. */
export async function measureSecondRun(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await mustRun(['run', 'ipv4']);
	await withTemporaryFolder(async (folder) => {
		await mustRun(['run', 'ipv4', '--report', folder]);
		const events = await readEvents(path.join(folder, 'events.jsonl'));
		const made = events.filter((event) => event.type === 'stage' && event.reason === 'made').length;
		const cached = events.filter((event) => event.type === 'stage' && event.reason === 'cached').length;
		await found({name: 'second-run-work', value: made, unit: 'stages', goal: '0', met: made === 0, compared: {'stages that were there': cached}});
	});
}

/**
 * `vmlab run --all` when every lab is frozen: each scenario and each variant of it, one after the other, on its own fork. Frozen first where one is not;
 * scenarios that fail are told by name, and the row's goal is that none does.
 */
export async function measureRunAll(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	for (const name of await listRuns()) {
		await mustRun(['up', name, '--name', `bench-all-${process.pid}`]);
		await mustRun(['down', `bench-all-${process.pid}`]);
	}

	const start = performance.now();
	const {stdout} = await vmlab(['run', '--all', '-o', 'json']);
	const seconds = (performance.now() - start) / 1000;
	const results = JSON.parse(stdout) as ReadonlyArray<{scenario: string; passed: boolean; seconds: number}>;
	const failed = results.filter(({passed}) => !passed).map(({scenario}) => scenario);
	const slowest = results.toSorted((a, b) => b.seconds - a.seconds)[0];
	await found({
		name: 'run-all-forked', value: round(seconds), unit: 's', goal: 'all pass', met: failed.length === 0 && results.length > 0,
		compared: {runs: results.length, failed: failed.join(', ') || 'none', ...(slowest && {[`the slowest, ${slowest.scenario}, s`]: round(slowest.seconds)})},
	});
}
