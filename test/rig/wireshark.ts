/** Wireshark's programs for tests: what others make of a capture of ours. */
import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {installPackages} from '../../lab/host/install.ts';
import {findProgram, run} from '../../lab/host/program.ts';
import {timeLimit} from '../../lab/host/wait.ts';

let ensured: Promise<void> | undefined;

/** Installs the programs where they are missing and that can be done, once for all tests of a file. Throws `install-by-hand`. */
async function ensurePrograms(): Promise<void> {
	ensured ??= install();
	return ensured;
}

async function install(): Promise<void> {
	for (const program of ['tshark', 'capinfos']) {
		if (await findProgram(program) === undefined) {
			await installPackages(['tshark'], {signal: timeLimit(600_000), say() {}});
			return;
		}
	}
}

/** Fields of each frame of a capture that a display filter lets through, by tshark(1). What tshark complains of is an error. */
export async function fieldsOf(file: string, fields: readonly string[], filter = ''): Promise<string[][]> {
	await ensurePrograms();
	const {stdout} = await run('tshark', ['-n', '-r', file, '-T', 'fields', '-E', 'separator=/t', ...fields.flatMap((field) => ['-e', field]), ...(filter === '' ? [] : ['-Y', filter])]);
	return stdout === '' ? [] : stdout.split('\n').map((line) => line.split('\t'));
}

/** Wireshark's own capture engine on a capture that comes live, as `wireshark -k -i -` has it: the fields of each frame, a line each, on its standard output. */
export async function startLive(fields: readonly string[]): Promise<ChildProcessWithoutNullStreams> {
	await ensurePrograms();
	return spawn('tshark', ['-n', '-l', '-i', '-', '-T', 'fields', '-E', 'separator=/t', ...fields.flatMap((field) => ['-e', field])]);
}

/** What capinfos(1) says of a file. */
export async function capinfosOf(file: string): Promise<string> {
	await ensurePrograms();
	return (await run('capinfos', [file])).stdout;
}
