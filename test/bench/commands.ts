/** Rows that boot nothing, or count only: the command line itself, and what a second run makes. */
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {vmlabProgram} from '../rig/command.ts';
import {readEvents} from '../rig/events-file.ts';
import {compareWithNode, mustRun, round, type Row} from './measure.ts';

/** `vmlab --help` against bare node. */
export async function measureHelp(): Promise<Row[]> {
	const {ratio, seconds, baseline} = await compareWithNode([vmlabProgram, '--help'], 15);
	return [{
		name: 'help', value: round(ratio), unit: 'times', goal: '< 6', met: ratio < 6,
		compared: {'vmlab --help, s': round(seconds), 'node -e 0, s': round(baseline)},
	}];
}

/** `vmlab plan ipv4`, all built, against the same. */
export async function measurePlan(): Promise<Row[]> {
	await mustRun(['build', 'ipv4']);
	const {ratio, seconds, baseline} = await compareWithNode([vmlabProgram, 'plan', 'ipv4'], 9);
	return [{
		name: 'plan-warm', value: round(ratio), unit: 'times', goal: '< 25', met: ratio < 25,
		compared: {'vmlab plan ipv4, s': round(seconds), 'node -e 0, s': round(baseline)},
	}];
}

/** Stages that a run of ipv4 makes when another has been before: from its events. */
export async function measureSecondRun(): Promise<Row[]> {
	await mustRun(['build', 'ipv4']);
	return withTemporaryFolder(async (folder) => {
		await mustRun(['run', 'ipv4', '--report', folder]);
		const events = await readEvents(path.join(folder, 'events.jsonl'));
		const made = events.filter((event) => event.type === 'stage' && event.reason === 'made').length;
		const cached = events.filter((event) => event.type === 'stage' && event.reason === 'cached').length;
		return [{name: 'second-run-work', value: made, unit: 'stages', goal: '0', met: made === 0, compared: {'stages that were there': cached}}];
	});
}
