/** Which QEMU this computer has: what the state of a frozen machine depends on. */
import {readFile, realpath} from 'node:fs/promises';
import path from 'node:path';
import {digestFile, digestOf} from '../host/digest.ts';
import {locate, run} from '../host/program.ts';
import {whileUnchanged} from '../host/unchanged.ts';
import {qemuProgram} from './machine.ts';
import {processorArguments} from './arguments.ts';
import type {Accelerator} from './specification.ts';

/**
 * All of a computer that the state of a frozen machine depends on: how guests are run; QEMU's version, as it tells it; the file of the library that is
 * QEMU's user network, and a digest of it ('' where it is part of QEMU); and the processor that guests see, a model of QEMU's or a digest of the computer's own.
 */
export type Emulator = Readonly<Record<'accelerator' | 'qemu' | 'slirp' | 'processor', string>>;

const versionOf = whileUnchanged(async (program, signal) => {
	const {stdout} = await run(program, ['--version'], {signal});
	return stdout.split('\n')[0] ?? '';
});

/** The first line of `qemu-system-x86_64 --version`. Throws `program-missing`. */
export async function qemuVersion(signal: AbortSignal | undefined): Promise<string> {
	return versionOf(await locate(qemuProgram), signal);
}

/**
 * Can QEMU map a file privately, for a machine to write to, that it opens for reading alone? It can where such memory has the property `rom`, since
 * without it what is opened so is read-only for the machine too. Throws `program-missing`, `program-failed`.
 */
export async function opensReadOnly(signal: AbortSignal | undefined): Promise<boolean> {
	const {stdout} = await run(qemuProgram, ['-object', 'memory-backend-file,help'], {signal});
	return hasReadOnlyMemory(stdout);
}

/** The same, from what QEMU tells of the properties of memory in a file: a line each, `  rom=<OnOffAuto> - ...`. */
export function hasReadOnlyMemory(properties: string): boolean {
	return /^\s*rom=/m.test(properties);
}

/** Model, microcode and features of the first processor, as /proc/cpuinfo has them (proc(5)). */
export async function processorModel(): Promise<string> {
	const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
	return text.split('\n').filter((line) => /^(?:model name|microcode|flags)\s*:/.test(line)).slice(0, 3).join('\n');
}

/** Describes this computer's QEMU. Throws `program-missing`. */
export async function describeEmulator(accelerator: Accelerator, signal?: AbortSignal): Promise<Emulator> {
	const [qemu, slirp, own] = await Promise.all([qemuVersion(signal), slirpFile(), processorModel()]);
	const model = processorArguments(accelerator, 1).join(' ');
	return {accelerator, qemu, slirp, processor: accelerator === 'kvm' ? `${model} ${digestOf(own)}` : model};
}

/** Where distributions keep the libraries of this architecture. */
const libraryFolders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'];

/**
 * A library's file as a word for it and a digest of what is in it: of two releases of libslirp (4.7.0 and 4.8.0) the file has one name, which tells its interface
 * (`libslirp.so.0.4.0`). Throws the system's error.
 */
export const describeLibrary = whileUnchanged(async (file) => `${path.basename(file)} ${(await digestFile(file)).slice(0, 16)}`);

/** The library of QEMU's user network; '' where there is none. */
async function slirpFile(): Promise<string> {
	for (const folder of libraryFolders) {
		const file = await realpath(path.join(folder, 'libslirp.so.0')).catch(() => undefined);
		if (file !== undefined) {
			return describeLibrary(file);
		}
	}

	return '';
}
