/** Makes of a running lab another one that differs only late: writes files, has machines take them on, and waits until each is ready as that lab is. */
import type {EventSink} from '../event/event.ts';
import {failure} from '../host/failure.ts';
import {writeCommand} from '../machine/quoting.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {LateChange} from '../plan/plan.ts';
import type {FileDeclaration} from '../spec/secret.ts';
import type {Lab} from './lab.ts';
import {awaitReady} from './ready.ts';
import {together} from './together.ts';

/** Milliseconds at KVM speed that machines may take for one command of a change: a service starts. */
const commandDeadline = 60_000;

/**
 * Changes a lab. Its plan is the one that it is changed to.
 *
 * @throws `machine-broke` when a machine does not take a change on, `machine-not-ready`, `ssh-lost`, the signal's reason
 */
export async function applyChange(lab: Lab, {files, commands}: LateChange, options: {events: EventSink; signal: AbortSignal}): Promise<void> {
	const {events, signal} = options;
	await together(signal, lab.plan.machines.map(({name, ready, units}) => async (abort) => {
		const changed = files[name] ?? [];
		if (changed.length === 0) {
			return;
		}

		const connection = await lab.ssh(name, abort);
		try {
			for (const file of changed) {
				await writeFile(connection, name, file, abort);
			}

			for (const command of commands) {
				await must(connection, name, command, {timeout: commandDeadline * lab.speed, signal: abort});
			}
		} finally {
			connection.close();
		}

		await awaitReady({
			name, folder: lab.folder, pace: lab.speed, events, signal: abort,
			connect: async ({signal: late}) => lab.ssh(name, late),
		}, {ready, units}, await lab.ssh(name, abort));
	}));
}

async function writeFile(connection: SshConnection, machine: string, file: FileDeclaration, signal: AbortSignal): Promise<void> {
	if (!('text' in file)) {
		throw new Error(`the change writes ${file.path}, which has no text`);
	}

	await must(connection, machine, `set -e; ${writeCommand(file.path, file.mode ?? 0o644)}`, {input: file.text, signal});
}

async function must(connection: SshConnection, machine: string, command: string, options: {input?: string; timeout?: number; signal: AbortSignal}): Promise<void> {
	const {exitCode, stderr, stdout} = await connection.exec(command, options);
	if (exitCode !== 0) {
		throw failure.machineBroke(machine, `\`${command}\` ended with exit code ${exitCode}: ${(stderr.trim() || stdout.trim()).split('\n').at(-1) ?? ''}`);
	}
}
