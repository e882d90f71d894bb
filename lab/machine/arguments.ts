/** QEMU's command line, as a pure function of what the machine is to be. Written for QEMU 7.2 and later. */
import {type EntropySource, entropySources} from '../spec/entropy.ts';
import type {MachineSpecification} from './specification.ts';

const kibibyte = 1024;
const mebibyte = 1024 ** 2;

/**
 * One `key=value,key=value` argument. QEMU splits these at commas and takes a doubled comma for one, so each value's are
 * doubled; keys are ours and have none. A value that is `undefined` leaves its key out.
 */
function keyed(first: string, values: Readonly<Record<string, string | number | undefined>>): string {
	const pairs = Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${quoted(String(value))}`]));
	return [first, ...pairs].filter((part) => part !== '').join(',');
}

function quoted(value: string): string {
	return value.replaceAll(',', ',,');
}

/** The text on QEMU's command line by which a process is known as this machine: the marker of its ProcessIdentity. */
export function machineMarker(spec: Pick<MachineSpecification, 'lab' | 'name'>): string {
	// With what follows it, so that node-1 is not found in node-10.
	return `-name ${quoted(`${spec.lab}/${spec.name}`)},debug-threads=on`;
}

/** The arguments that every QEMU of ours starts with, the probe's too: no defaults, no devices but those named, confined. */
export const confinement: readonly string[] = [
	'-nodefaults',
	'-no-user-config',
	'-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
	'-display', 'none',
];

/**
 * How the guest's instructions are run, and the processor that it sees. Emulated, it has no AVX2: programs written in Go
 * hash and compare with it, and QEMU takes half as long again for that as for the same without. Nor has it ERMS and FSRM: they tell a kernel to copy and
 * clear byte by byte (`rep movsb`), which QEMU does at half the speed of words.
 */
export function processorArguments(accelerator: MachineSpecification['accelerator'], cpus: number, entropy: readonly EntropySource[] = entropySources): string[] {
	const model = accelerator === 'kvm' ? 'host' : 'max,avx2=off,erms=off,fsrm=off';
	return [
		...(accelerator === 'kvm' ? ['-accel', 'kvm'] : ['-accel', 'tcg,thread=multi']),
		'-cpu', entropy.includes('processor') ? model : `${model},rdrand=off,rdseed=off`,
		'-smp', String(cpus),
	];
}

/**
 * The arguments for qemu-system-x86_64. Paths are taken as they are, so relative ones are relative to the working folder
 * that QEMU is started in (which is how socket paths stay below the 107 bytes that the kernel allows).
 */
export function machineArguments(spec: MachineSpecification): string[] {
	const {entropy = entropySources} = spec;
	return [
		'-name', keyed(quoted(`${spec.lab}/${spec.name}`), {'debug-threads': 'on'}),
		...confinement,
		// A crash of QEMU should not write the guest's memory to a core file.
		'-M', keyed('pc', {'memory-backend': 'ram', usb: 'off', vmport: 'off', 'dump-guest-core': 'off'}),
		// The clock of the machine goes on from where it was frozen, through a reboot too: what it has signed stays valid.
		'-rtc', keyed('', {base: spec.clock === undefined ? 'utc' : new Date(spec.clock).toISOString().slice(0, 19), clock: 'vm'}),
		...processorArguments(spec.accelerator, spec.cpus, entropy),
		...memoryArguments(spec),
		...layerArguments(spec),
		...diskArguments(spec),
		// What starved guests of entropy in the ancestor of this project: see the design, `A machine`.
		...(entropy.includes('virtio-rng') ? [
			'-object', keyed('rng-random', {id: 'entropy', filename: '/dev/urandom'}),
			'-device', keyed('virtio-rng-pci', {rng: 'entropy', 'max-bytes': 1024, period: 80_000}),
		] : []),
		// Each QEMU makes up another id: a kernel with a driver for it (Debian 13's has one, Debian 12's not) sees in a fork that it changed, and seeds its
		// random numbers anew.
		'-device', 'vmgenid',
		...networkArguments(spec),
		'-chardev', keyed('socket', {id: 'console', path: spec.consoleSocket, server: 'on', wait: 'off', logfile: spec.consoleLog, logappend: 'on'}),
		'-serial', 'chardev:console',
		'-chardev', keyed('socket', {id: 'fork', path: spec.forkSocket, server: 'on', wait: 'off'}),
		'-serial', 'chardev:fork',
		'-chardev', keyed('socket', {id: 'monitor', path: spec.qmpSocket, server: 'on', wait: 'off'}),
		'-mon', keyed('', {chardev: 'monitor', mode: 'control'}),
		'-kernel', spec.kernel,
		'-initrd', spec.initramfs,
		'-append', [...spec.append, ...(spec.accelerator === 'tcg' ? emulatedArguments : []), ...distrust(entropy)].join(' '),
		...(spec.frozen === true && spec.boots !== true ? ['-S', '-incoming', 'defer'] : []),
	];
}

/**
 * Kernel arguments for an emulated machine. QEMU finds what it has translated by its physical address and, before 8.0, its virtual one too (see
 * `CF_PCREL`), so a program that is at another address each time it is started is translated anew each time: starting one takes four times as long as without.
 */
const emulatedArguments: readonly string[] = ['norandmaps'];

/** Kernel arguments that take from a machine what cannot be left out of it: the last of two that contradict each other holds. */
function distrust(entropy: readonly EntropySource[]): string[] {
	return [
		...(entropy.includes('processor') ? [] : ['random.trust_cpu=off']),
		// QEMU has no switch for its seed. The kernel mixes it in then, and does not count it.
		...(entropy.includes('boot') ? [] : ['random.trust_bootloader=off']),
	];
}

function memoryArguments({memory, memoryFile, layers, frozen, readOnlyMemory}: MachineSpecification): string[] {
	// Layers are mapped above the memory, in a window that maxmem opens. Each may need alignment: one granule more each.
	const window = layers.reduce((sum, layer) => sum + Math.ceil(layer.bytes / mebibyte + 128) * mebibyte, 0);
	return [
		'-m', keyed('', {
			size: `${memory / kibibyte}K`,
			...(layers.length === 0 ? {} : {slots: layers.length, maxmem: `${(memory + window) / kibibyte}K`}),
		}),
		// In a file and shared, so that a lab can be frozen where its memory is; or private, on what was frozen.
		'-object', keyed('memory-backend-file', {
			id: 'ram', 'mem-path': memoryFile, size: memory, share: frozen === true ? 'off' : 'on',
			// Not even QEMU can change the file then. The machine may write: without `rom` its memory would be read-only too.
			...(frozen === true && readOnlyMemory === true ? {readonly: 'on', rom: 'off'} : {}),
		}),
	];
}

function layerArguments({layers}: MachineSpecification): string[] {
	return layers.flatMap((layer, index) => [
		// Shared and read-only: all machines of all labs use the one copy in the host's page cache, and none can change it.
		'-object', keyed('memory-backend-file', {id: `layer${index}`, 'mem-path': layer.file, size: layer.bytes, share: 'on', readonly: 'on'}),
		'-device', keyed('virtio-pmem-pci', {id: `pmem${index}`, memdev: `layer${index}`}),
	]);
}

function diskArguments({disk}: MachineSpecification): string[] {
	return [
		// cache.no-flush is what -drive calls cache=unsafe: a lab's disk does not outlive its computer's crash, and need not.
		// The file is named by its driver, so that a colon in the path is not taken for a protocol.
		'-blockdev', keyed('', {
			driver: 'qcow2', 'node-name': 'disk', 'cache.no-flush': 'on', discard: 'unmap', 'detect-zeroes': 'unmap',
			'file.driver': 'file', 'file.filename': disk, 'file.cache.no-flush': 'on', 'file.discard': 'unmap',
		}),
		'-device', keyed('virtio-blk-pci', {id: 'vda', drive: 'disk'}),
	];
}

/** The path of the disk's device in QEMU, as block_set_io_throttle of QMP and its like want it: the part that has the disk is not the one on the bus. */
export const diskDevice = '/machine/peripheral/vda/virtio-backend';

function networkArguments({maintenance, links}: MachineSpecification): string[] {
	const forwards = maintenance.forwards.map(({hostPort, guestPort}) => `,hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`).join('');
	return [
		'-netdev', keyed('user', {id: 'maintenance', ipv6: 'off', restrict: maintenance.egress ? 'off' : 'on'}) + forwards,
		...networkCard('maintenance', maintenance.mac),
		...links.flatMap((link, index) => [
			'-netdev', keyed('stream', {id: linkId(index), server: 'off', 'addr.type': 'unix', 'addr.path': link.socket}),
			...networkCard(linkId(index), link.mac),
		]),
	];
}

/** The id of a machine's NIC on the fabric, by its place among the machine's links: what `set_link` of QMP knows it by. */
export function networkCardId(place: number): string {
	return cardId(linkId(place));
}

function linkId(place: number): string {
	return `link${place}`;
}

function cardId(netdev: string): string {
	return `nic-${netdev}`;
}

function networkCard(netdev: string, mac: string): string[] {
	// An empty romfile: nothing boots from the network, and the option ROM would cost start time. A fork need not have its guest announce it, and QEMU 7.2
	// crashes when a machine is reset that had nothing to announce: the card's timer is gone then. QEMU 7.2 also forgets which VLANs a guest had it let through
	// when it loads the state of a card, so the guest is to filter them itself.
	return ['-device', keyed('virtio-net-pci', {id: cardId(netdev), netdev, mac, romfile: '', guest_announce: 'off', ctrl_vlan: 'off'})];
}
