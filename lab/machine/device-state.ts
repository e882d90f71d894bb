/**
 * The state of a machine's devices and processors, without its memory, which stays where it is, in its file.
 *
 * A migration with `x-ignore-shared` would leave out only memory that is mapped shared, and that of a fork is not. What QEMU has for Xen, where
 * somebody else takes care of the memory, works for every machine: `xen-save-devices-state`. What it writes is taken in as a migration. It has no
 * description of the machine (`migration.send-configuration=off`, `suppress-vmdesc=on`): that both machines are alike is our promise.
 * Sources: "Migration framework" in QEMU's developer manual, and "QEMU QMP Reference Manual", section Migration.
 */
import {once} from 'node:events';
import {createReadStream} from 'node:fs';
import {rm} from 'node:fs/promises';
import {createConnection} from 'node:net';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {socketPath} from '../host/socket-path.ts';
import {until} from '../host/wait.ts';
import type {Machine} from './machine.ts';

/** Milliseconds that half a megabyte of state, and what of the disk is still to be written, may take on a computer that is busy. */
const transferDeadline = 60_000;

/** What QEMU tells of a migration. */
interface MigrationStatus {
	readonly status?: string;
	readonly 'error-desc'?: string;
}

/**
 * Writes the state of a machine that is stopped to a file. Afterwards its disk is written out and given up, until it is told to go on.
 *
 * @param file its path, absolute
 * @throws `machine-broke` when QEMU cannot write it, `monitor-lost`
 */
export async function saveDeviceState(machine: Machine, file: string): Promise<void> {
	try {
		await machine.qmp.execute('xen-save-devices-state', {filename: file, live: true}, {timeout: transferDeadline});
	} catch (error) {
		throw error instanceof LabError && error.code === 'monitor-refused' ? failure.machineBroke(machine.name, `its state could not be saved: ${error.message}`, error) : error;
	}
}

/** Where the state of a machine comes from. */
export interface DeviceStateOptions {
	/** The working folder of the machine's QEMU. */
	readonly cwd: string;
	/** A name for the socket that the state goes over, relative to it; removed afterwards. */
	readonly socket: string;
	/** The file of the state. */
	readonly file: string;
	readonly signal?: AbortSignal | undefined;
}

/**
 * Gives a machine that was started on frozen memory the state that belongs to it. It is stopped still: `cont` lets it run.
 *
 * @throws `machine-broke` when QEMU does not take the state, `monitor-refused`, `wait-expired`, the system's error for the file
 */
export async function loadDeviceState(machine: Machine, {cwd, socket, file, signal}: DeviceStateOptions): Promise<void> {
	// Nobody has to learn where the machine is now: the fabric knows.
	await machine.qmp.execute('migrate-set-parameters', {'announce-rounds': 0});
	await machine.qmp.execute('migrate-incoming', {uri: `unix:${socket}`});
	const place = await socketPath(path.resolve(cwd, socket));
	try {
		const connection = createConnection(place.path);
		await once(connection, 'connect');
		// QEMU ends the connection when it has what it needs, or cannot use it; what it says of that counts.
		await pipeline(createReadStream(file), connection).catch(() => {});
		await until(
			`${machine.name} has its state`,
			async () => {
				const {status = 'none', 'error-desc': reason} = await machine.qmp.execute('query-migrate') as MigrationStatus;
				if (status === 'failed' || status === 'cancelled') {
					throw failure.machineBroke(machine.name, `its state could not be loaded: ${reason ?? status}`);
				}

				return status === 'completed' ? {met: true, value: undefined} : {met: false, seen: status};
			},
			{deadline: transferDeadline, interval: 5, ...(signal && {signal})},
		);
	} finally {
		await place.release();
		await rm(path.resolve(cwd, socket), {force: true});
	}
}
