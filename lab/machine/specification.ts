/** What one virtual machine is started from: enough to write QEMU's command line, which is a pure function of it. */
import type {EntropySource} from '../spec/entropy.ts';

/** How the guest's instructions are run. */
export type Accelerator = 'kvm' | 'tcg';

/** A TCP port of the machine, reached by one of the host. */
export interface MachineForward {
	/** On 127.0.0.1 of the host. */
	readonly hostPort: number;
	/** On the machine. */
	readonly guestPort: number;
}

/** Everything that a machine is started from. */
export interface MachineSpecification {
	/** The lab's name and the machine's: `-name LAB/MACHINE` marks the process as ours. */
	readonly lab: string;
	readonly name: string;
	readonly accelerator: Accelerator;
	readonly cpus: number;
	/** Bytes. */
	readonly memory: number;
	/** The file that backs the memory: in /dev/shm or the lab's folder, or in a frozen lab. */
	readonly memoryFile: string;
	/**
	 * The memory file is a frozen machine's: it is mapped copy-on-write, so that nothing which the machine writes gets into it, and
	 * QEMU waits, stopped, for the state of the devices that belongs to it (`loadDeviceState`).
	 */
	readonly frozen?: boolean;
	/** The memory file is a frozen machine's, and the machine boots nevertheless: it is powered on again, and what is in its memory means nothing to it, as after a reset. */
	readonly boots?: boolean;
	/** What time its clock begins with, in milliseconds since 1970. Default: this computer's. */
	readonly clock?: number;
	/** The memory file of a frozen machine is opened for reading alone, which QEMU must be able to do: see `AcceleratorProbe`. */
	readonly readOnlyMemory?: boolean;
	/** What its kernel has random numbers from at boot. Default: all sources. */
	readonly entropy?: readonly EntropySource[];
	/** Files; initramfs is the image's followed by the machine's seed. */
	readonly kernel: string;
	readonly initramfs: string;
	/** Kernel arguments. */
	readonly append: readonly string[];
	/** erofs images, with their sizes in bytes (multiples of 2 MiB), attached as virtio-pmem in this order: those of the root, lowest first, then the image store. */
	readonly layers: ReadonlyArray<{readonly file: string; readonly bytes: number}>;
	/** qcow2. */
	readonly disk: string;
	/** NICs on the fabric: each connects to a unix socket. Paths may be relative to the process's working folder. */
	readonly links: ReadonlyArray<{readonly mac: string; readonly socket: string}>;
	readonly maintenance: {readonly mac: string; readonly forwards: readonly MachineForward[]; readonly egress: boolean};
	/** Unix socket of QMP, in a 0700 folder. */
	readonly qmpSocket: string;
	/** File that the serial console is logged to; and the unix socket for an interactive console. */
	readonly consoleLog: string;
	readonly consoleSocket: string;
	/** Unix socket of the second serial port: over it a fork is told that it is one (`tellFork`). */
	readonly forkSocket: string;
	/** File for QEMU's own messages. */
	readonly log: string;
}
