/**
 * The state of a machine's devices and processors, without its memory: what QEMU calls a migration, to a file and from one. The
 * memory stays where it is, in its file (`x-ignore-shared`). Sources: "Migration framework" in QEMU's developer manual, and
 * "QEMU QMP Reference Manual", section Migration.
 */
import {once} from 'node:events';
import {createReadStream, createWriteStream} from 'node:fs';
import {readFile, rm, writeFile} from 'node:fs/promises';
import {createConnection, createServer, type Socket} from 'node:net';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import {failure} from '../host/failure.ts';
import {listenPrivately} from '../host/private-socket.ts';
import {socketPath} from '../host/socket-path.ts';
import {until} from '../host/wait.ts';
import type {Machine} from './machine.ts';

/** Where the state goes, or comes from. */
export interface DeviceStateOptions {
	/** The working folder of the machine's QEMU. */
	readonly cwd: string;
	/** A name for the socket that the state goes over, relative to it; removed afterwards. */
	readonly socket: string;
	/** The file of the state. */
	readonly file: string;
	readonly signal?: AbortSignal | undefined;
}

/** Milliseconds that half a megabyte of state may take, on a computer that is busy. */
const transferDeadline = 60_000;

/** What QEMU tells of a migration. */
interface MigrationStatus {
	readonly status?: string;
	readonly 'error-desc'?: string;
}

async function setCapabilities({qmp}: Machine): Promise<void> {
	await qmp.execute('migrate-set-capabilities', {capabilities: [{capability: 'x-ignore-shared', state: true}]});
}

/** Waits until QEMU has done it. Throws `machine-broke` with what it says of a failure. */
async function completed(machine: Machine, doing: string, signal: AbortSignal | undefined): Promise<void> {
	await until(
		`${machine.name} has ${doing} its state`,
		async () => {
			const {status = 'none', 'error-desc': reason} = await machine.qmp.execute('query-migrate') as MigrationStatus;
			if (status === 'failed' || status === 'cancelled') {
				throw failure.machineBroke(machine.name, `its state could not be ${doing}: ${reason ?? status}`);
			}

			return status === 'completed' ? {met: true, value: undefined} : {met: false, seen: status};
		},
		{deadline: transferDeadline, interval: 5, ...(signal && {signal})},
	);
}

/**
 * Writes the state of a machine that is stopped. Afterwards its disk is written out and given up, until it is told to go on.
 *
 * @throws `machine-broke`, `monitor-refused`, `wait-expired`, the system's error when the file cannot be written
 */
export async function saveDeviceState(machine: Machine, {cwd, socket, file, signal}: DeviceStateOptions): Promise<void> {
	const server = createServer();
	const written = (async () => {
		const [connection] = await once(server, 'connection') as [Socket];
		connection.on('error', () => {});
		await pipeline(connection, createWriteStream(file, {mode: 0o600}));
	})();
	// Looked at when QEMU has done its part.
	written.catch(() => {});
	const release = await listenPrivately(server, path.resolve(cwd, socket));
	try {
		await setCapabilities(machine);
		await machine.qmp.execute('migrate', {uri: `unix:${socket}`});
		await completed(machine, 'saved', signal);
		await written;
	} finally {
		server.close();
		await release();
		await rm(path.resolve(cwd, socket), {force: true});
	}
}

/** What a stream of state begins with: a magic number and a version, four bytes each. */
const startBytes = 8;
/** Sections of the stream, by their first byte: the end of a part that is sent in pieces, a part that is whole; and what follows each. */
const section = {end: 0x03, full: 0x04, footer: 0x7E} as const;
/** Bytes of a section's number. */
const numberBytes = 4;
/** The last word of each piece of memory: RAM_SAVE_FLAG_EOS, 64 bits. */
const endOfPiece = Buffer.from('0000000000000010', 'hex');
/** An empty description of the state, which QEMU otherwise misses, and says so: its section's byte, its length, and itself. */
const noDescription = Buffer.from('06000000027b7d', 'hex');

/**
 * The first part of a stream of state: which machine it is of, its blocks of memory, and the content of those that are in no file (its BIOS). The
 * rest is its devices. Throws `machine-broke` when it is no such stream.
 */
export function memoryPart(state: Buffer, machine: string): Buffer {
	for (let at = state.indexOf(endOfPiece); at >= 0; at = state.indexOf(endOfPiece, at + 1)) {
		const number = state.subarray(at - numberBytes, at);
		const after = at + endOfPiece.length;
		const end = after + 1 + numberBytes;
		if (state[at - numberBytes - 1] === section.end && state[after] === section.footer && state.subarray(after + 1, end).equals(number) && state[end] === section.full) {
			return state.subarray(0, end);
		}
	}

	throw failure.machineBroke(machine, 'the state that it was started from has no end of its memory');
}

/**
 * Writes the state of a stopped machine that runs on memory of its own, as a fork does. QEMU leaves only such memory out of a migration that others
 * have too, and would write all of it; so it writes the devices alone, as it does for Xen, and what goes before them is that of the state which
 * the machine was started from. What `saveDeviceState` says of the disk holds here too.
 *
 * @param origin the file of that state
 * @throws `machine-broke`, `monitor-refused`, the system's error for the files
 */
export async function saveForkState(machine: Machine, {file, origin}: {file: string; origin: string}): Promise<void> {
	const devices = `${file}.devices`;
	try {
		await machine.qmp.execute('xen-save-devices-state', {filename: devices, live: true});
		const [before, own] = await Promise.all([readFile(origin), readFile(devices)]);
		await writeFile(file, Buffer.concat([memoryPart(before, machine.name), own.subarray(startBytes), noDescription]), {mode: 0o600, flag: 'wx'});
	} finally {
		await rm(devices, {force: true});
	}
}

/**
 * Gives a machine that was started on frozen memory the state that belongs to it. It is stopped still: `cont` lets it run.
 *
 * @throws `machine-broke` when QEMU does not take the state, `monitor-refused`, `wait-expired`, the system's error for the file
 */
export async function loadDeviceState(machine: Machine, {cwd, socket, file, signal}: DeviceStateOptions): Promise<void> {
	await setCapabilities(machine);
	// Nobody has to learn where the machine is now: the fabric knows.
	await machine.qmp.execute('migrate-set-parameters', {'announce-rounds': 0});
	await machine.qmp.execute('migrate-incoming', {uri: `unix:${socket}`});
	const place = await socketPath(path.resolve(cwd, socket));
	let connection: Socket | undefined;
	try {
		connection = createConnection(place.path);
		await once(connection, 'connect');
		// QEMU ends the connection when it has what it needs, or cannot use it, also when all was sent; what it says of that counts.
		connection.on('error', () => {});
		await pipeline(createReadStream(file), connection).catch(() => {});
		await completed(machine, 'loaded', signal);
	} finally {
		connection?.destroy();
		await place.release();
		await rm(path.resolve(cwd, socket), {force: true});
	}
}
