/** How guests are run on this computer: by KVM where a guest really runs with it, else by emulation (TCG); and how fast. */
import {constants} from 'node:fs';
import {access, readFile, rename, stat, writeFile} from 'node:fs/promises';
import {cpus, loadavg, release} from 'node:os';
import path from 'node:path';
import {digestFile, digestOf} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {folders} from '../host/folder.ts';
import {run} from '../host/program.ts';
import {whileUnchanged} from '../host/unchanged.ts';
import {withScratch} from '../store/scratch.ts';
import {confinement, processorArguments} from './arguments.ts';
import {opensReadOnly, processorModel, qemuVersion} from './emulator.ts';
import {qemuProgram} from './machine.ts';
import {probeKernel, probeLines} from './probe-kernel.ts';
import type {Accelerator} from './specification.ts';

/** What guests are run with here. */
export interface AcceleratorProbe {
	readonly accelerator: Accelerator;
	/** A sentence without a full stop: why it is that one, and what follows from it. */
	readonly reason: string;
	/** How many times slower than under KVM on an idle computer things are to be expected; at least 1. Deadlines are multiplied by it. */
	readonly speed: number;
	/** Can QEMU open a frozen memory file for reading alone, and let a machine run on it? 8.2 and newer can. */
	readonly readOnlyMemory: boolean;
}

/** How to probe. */
export interface ProbeOptions {
	/** The kernel file that is to run, which is then tried under KVM too. It need not have a root: it runs when it panics for want of one. */
	readonly kernel?: string;
	/** Probes again, whatever the cache has. */
	readonly refresh?: boolean;
	readonly signal?: AbortSignal | undefined;
}

/** Milliseconds for a probe guest under KVM, where it takes a fraction of a second, and a hang lasts for ever. */
const kvmDeadline = 5000;
/** Milliseconds for it under TCG: half a second on an idle computer. */
const tcgDeadline = 60_000;
/**
 * Seconds of the probe's calls on an ordinary computer: under KVM, and a tenth of what TCG takes. Emulation is slow not
 * only at calls; ten times is what whole clusters take to boot.
 */
const references: Readonly<Record<Accelerator, number>> = {kvm: 0.02, tcg: 0.01};
/** Deadlines grow no more than this. */
const slowest = 60;
/** Milliseconds that "no" is believed: a busy moment must not keep a computer from KVM for ever. */
const refusalAge = 24 * 3_600_000;

const digestKernel = whileUnchanged(async (file) => digestFile(file));

/** What is kept of a probe: speed is that of an idle computer. */
interface KeptProbe extends AcceleratorProbe {
	readonly probed: string;
}

/**
 * Finds out by booting a guest. The answer is kept in the cache for this QEMU, processor, /dev/kvm and kernel; the speed
 * counts in how busy the computer is now.
 *
 * @throws `program-missing` where there is no QEMU, `program-failed` where not even an emulated guest runs, `interrupted`
 */
export async function probeAccelerator(options: ProbeOptions = {}): Promise<AcceleratorProbe> {
	const {kernel, refresh = false, signal} = options;
	const [version, processor, device, kernelDigest] = await Promise.all([qemuVersion(signal), processorModel(), kvmDevice(), kernel === undefined ? '' : digestKernel(kernel)]);
	const probed = digestOf({version, processor, device, kernelDigest, hostKernel: release(), form: 2});
	const {cache} = folders();
	const name = `probe-${probed.slice(0, 16)}`;
	const file = path.join(cache, `${name}.json`);
	const known = async (): Promise<KeptProbe | undefined> => (refresh ? undefined : readKept(file, probed));
	const found = await known() ?? await withScratch(cache, name, async (scratch) => {
		// Somebody else may have found it out while we waited.
		const other = await known();
		if (other !== undefined) {
			return other;
		}

		const fresh = {...(await probe(scratch, kernel, device, signal)), probed};
		await keep(scratch, file, fresh);
		return fresh;
	}, signal);
	return {accelerator: found.accelerator, reason: found.reason, readOnlyMemory: found.readOnlyMemory, speed: Math.min(slowest, Math.max(1, found.speed) * busyness())};
}

/** How many times longer things take than on an idle computer: runnable processes for each processor. */
function busyness(): number {
	return Math.max(1, (loadavg()[0] ?? 0) / Math.max(1, cpus().length));
}

/** What /dev/kvm is: a text that identifies it, and the error where it cannot be opened. */
async function kvmDevice(): Promise<{identity: string; problem?: string}> {
	try {
		const {rdev, ino, mode} = await stat('/dev/kvm');
		await access('/dev/kvm', constants.R_OK | constants.W_OK);
		return {identity: `${rdev} ${ino} ${mode}`};
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		return {
			identity: '',
			problem: code === 'EACCES' ? 'this user may not open /dev/kvm (add the user to the group kvm)' : 'this computer has no /dev/kvm',
		};
	}
}

async function readKept(file: string, probed: string): Promise<KeptProbe | undefined> {
	try {
		const value = JSON.parse(await readFile(file, 'utf8')) as Partial<KeptProbe>;
		if (value.accelerator === 'tcg' && Date.now() - (await stat(file)).mtimeMs > refusalAge) {
			return undefined;
		}

		return value.probed === probed && (value.accelerator === 'kvm' || value.accelerator === 'tcg') && typeof value.reason === 'string' && typeof value.speed === 'number' && typeof value.readOnlyMemory === 'boolean'
			? (value as KeptProbe)
			: undefined;
	} catch {
		return undefined;
	}
}

async function keep(scratch: string, file: string, probe: KeptProbe): Promise<void> {
	const coming = path.join(scratch, path.basename(file));
	await writeFile(coming, `${JSON.stringify(probe, undefined, '\t')}\n`);
	await rename(coming, file);
}

async function probe(scratch: string, kernel: string | undefined, device: {problem?: string}, signal: AbortSignal | undefined): Promise<AcceleratorProbe> {
	const guest = path.join(scratch, 'probe-kernel');
	await writeFile(guest, probeKernel());
	const readOnlyMemory = await opensReadOnly(signal);
	let problem = device.problem;
	if (problem === undefined) {
		const seconds = await runProbe('kvm', guest, kvmDeadline, signal);
		if (seconds === undefined) {
			problem = '/dev/kvm opens, but a guest does not get beyond its BIOS with it';
		} else if (kernel !== undefined && !(await kernelRuns(kernel, signal))) {
			problem = '/dev/kvm opens, but the kernel of the image does not come up with it';
		} else {
			return {accelerator: 'kvm', reason: 'KVM: a probe guest ran with it', speed: Math.max(1, seconds / references.kvm / busyness()), readOnlyMemory};
		}
	}

	const seconds = await runProbe('tcg', guest, tcgDeadline, signal);
	return {
		accelerator: 'tcg',
		reason: `TCG, QEMU's own emulation, since ${problem}: everything is some ten times slower, and guests are no security boundary`,
		// Never less than 8: what the calls do not tell, such as memory management, is no faster.
		speed: Math.max(8, (seconds ?? 0) / references.tcg / busyness()),
		readOnlyMemory,
	};
}

/** Seconds that the probe guest's calls took; undefined where it hung or ended early under KVM. Under TCG that throws. */
async function runProbe(accelerator: Accelerator, guest: string, timeout: number, signal: AbortSignal | undefined): Promise<number | undefined> {
	let begun: number | undefined;
	let done: number | undefined;
	try {
		await run(qemuProgram, probeArguments(accelerator, guest, ''), {
			timeout,
			signal,
			onLine(line) {
				if (line.includes(probeLines.begins)) {
					begun = performance.now();
				} else if (line.includes(probeLines.done)) {
					done = performance.now();
				}
			},
		});
	} catch (error) {
		if (accelerator === 'tcg' || !(error instanceof LabError) || error.code !== 'program-failed') {
			throw error;
		}
	}

	return begun === undefined || done === undefined ? undefined : (done - begun) / 1000;
}

/** Does the kernel come as far as to miss its root under KVM? */
async function kernelRuns(kernel: string, signal: AbortSignal | undefined): Promise<boolean> {
	let panicked = false;
	try {
		await run(qemuProgram, probeArguments('kvm', kernel, 'console=ttyS0 panic=-1'), {
			timeout: 4 * kvmDeadline,
			signal,
			onLine(line) {
				panicked ||= line.includes('Kernel panic');
			},
		});
	} catch (error) {
		if (!(error instanceof LabError) || error.code !== 'program-failed') {
			throw error;
		}
	}

	return panicked;
}

/** A machine with an empty disk, for the BIOS to be asked about, and its serial line on our stdout. */
function probeArguments(accelerator: Accelerator, kernel: string, append: string): string[] {
	return [
		...confinement,
		'-M', 'pc,usb=off,vmport=off',
		...processorArguments(accelerator, 1),
		'-m', '256M',
		'-chardev', 'stdio,id=console,signal=off',
		'-serial', 'chardev:console',
		'-blockdev', 'driver=null-co,node-name=disk,size=1048576,read-zeroes=on',
		'-device', 'virtio-blk-pci,drive=disk',
		'-no-reboot',
		'-kernel', kernel,
		'-append', append,
	];
}
