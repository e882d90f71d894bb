/**
 * A network between guests, besides those of their lab: the fabric, or what QEMU offers without root to compare with. All are joined alike: a NIC is plugged into each running
 * machine, over the monitor, with the properties that machines have theirs with.
 */
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import path from 'node:path';
import {Worker} from 'node:worker_threads';
import type {Fabric, FabricDeclaration} from '../../lab/fabric/fabric.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import {findProgram, run, spawnDaemon} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {qemuProgram} from '../../lab/machine/machine.ts';
import {startFabric} from './compiled.ts';
import type {Guest} from './guests.ts';

/** The fabric as labs have it; the same without its recorder; and the others. */
export type NetworkKind = 'fabric' | 'fabric without recorder' | 'vde_switch' | 'multicast';

/** Where a guest is on a network. */
export interface NetworkEnd {
	readonly guest: Guest;
	/** In the guest: 'eth2'. */
	readonly device: string;
	readonly mac: string;
	readonly address: string;
}

/** A network that guests are joined to, in their order. Nothing crosses it on its own: addresses are known to all, and there is no IPv6. */
export interface BenchNetwork {
	readonly kind: NetworkKind;
	readonly ends: readonly NetworkEnd[];
	/** Where it is one, with its recorder. */
	readonly fabric?: Fabric;
}

/** The name of the network in a fabric. */
export const networkName = 'bench';

/** Arguments of QMP's netdev_add, but for the id (QEMU's QMP reference, `NetdevOptions`). */
type Backend = Readonly<Record<string, unknown>>;

interface OpenNetwork {
	/** What the guest of this place is joined by. */
	readonly backend: (place: number) => Backend;
	readonly fabric?: Fabric;
	close(): Promise<void>;
}

let count = 0;

/** Opens networks, joins all guests to each, and ends them after `use`. */
export async function withNetworks<Kind extends NetworkKind, Value>(
	guests: readonly Guest[], kinds: readonly Kind[], use: (networks: Readonly<Record<Kind, BenchNetwork>>) => Promise<Value>,
): Promise<Value> {
	return withTemporaryFolder(async (folder) => {
		const opened: OpenNetwork[] = [];
		try {
			const networks: Partial<Record<Kind, BenchNetwork>> = {};
			for (const kind of kinds) {
				const network = await open[kind](folder, guests);
				opened.push(network);
				networks[kind] = {kind, ends: await join(guests, count++, network.backend), ...(network.fabric !== undefined && {fabric: network.fabric})};
			}

			return await use(networks as Record<Kind, BenchNetwork>);
		} finally {
			await Promise.all(opened.map(async (network) => network.close()));
		}
	});
}

/** What is missing on this computer for vde_switch to be compared with; undefined where nothing is. */
export async function missingForVde(): Promise<string | undefined> {
	const {stdout} = await run(qemuProgram, ['-netdev', 'help']);
	if (!stdout.split('\n').includes('vde')) {
		return 'not compared: this QEMU has no -netdev vde';
	}

	return await findProgram('vde_switch') === undefined ? 'not compared: it is not here (Debian package vde2)' : undefined;
}

function declarationOf(folder: string, guests: readonly Guest[]): FabricDeclaration {
	return {folder, networks: [{name: networkName, ports: guests.map(({name}) => ({name, socket: `${count}-${name}.sock`}))}]};
}

function streamTo({folder, networks}: FabricDeclaration): OpenNetwork['backend'] {
	return (place) => ({type: 'stream', server: false, addr: {type: 'unix', path: path.join(folder, networks[0]!.ports[place]!.socket)}});
}

const open: Readonly<Record<NetworkKind, (folder: string, guests: readonly Guest[]) => Promise<OpenNetwork>>> = {
	async fabric(folder, guests) {
		const declaration = declarationOf(folder, guests);
		const fabric = await startFabric(declaration);
		return {fabric, backend: streamTo(declaration), close: async () => fabric.stop()};
	},
	/** The program has no switch for its recorder: here a network of its own code runs in a thread of the benchmark, with nobody to tell of frames. */
	async 'fabric without recorder'(folder, guests) {
		const declaration = declarationOf(folder, guests);
		const worker = new Worker(`import(${JSON.stringify(path.join(packageFolder, '.build/lab/fabric/network.js'))}).then(async ({openNetwork}) => {
			const {parentPort, workerData: {folder, networks}} = await import('node:worker_threads');
			await openNetwork(networks[0], folder);
			parentPort.postMessage('open');
		});`, {eval: true, workerData: declaration});
		await once(worker, 'message');
		return {
			backend: streamTo(declaration),
			async close() {
				await worker.terminate();
			},
		};
	},
	async vde_switch(folder) {
		const place = path.join(folder, `vde-${count}`);
		// It ends with its input, and as a daemon of its own (--daemon) it would not end with us.
		const daemon = await spawnDaemon('sh', ['-c', 'tail -f /dev/null | vde_switch --sock "$0"', place], {cwd: folder, log: path.join(folder, 'vde.log')});
		await until('vde_switch listens', async () => {
			const {exitCode} = await run('test', ['-S', path.join(place, 'ctl')], {accept: [0, 1]});
			return exitCode === 0 ? {met: true, value: undefined} : {met: false, seen: `no socket in ${place}`};
		}, {deadline: 10_000, interval: 50});
		return {
			backend: () => ({type: 'vde', sock: place}),
			async close() {
				daemon.kill('SIGTERM');
				await daemon.ended;
			},
		};
	},
	/** Bound to the loopback: nothing leaves this computer. The group is of the addresses that belong to an organization itself (RFC 2365, 6.2). */
	async multicast() {
		const mcast = `239.192.77.66:${await freePort()}`;
		return {backend: () => ({type: 'socket', mcast, localaddr: '127.0.0.1'}), close: async () => {}};
	},
};

/** A UDP port that nobody has now: labs of others on this computer must not hear ours. */
async function freePort(): Promise<number> {
	const socket = createSocket('udp4');
	socket.bind(0, '127.0.0.1');
	await once(socket, 'listening');
	const {port} = socket.address();
	socket.close();
	return port;
}

/** Plugs a NIC into each guest and sets it up: an address of the network for benchmarks (RFC 2544, C.2.2), and those of all others, so that nobody has to ask for them. */
async function join(guests: readonly Guest[], number: number, backend: OpenNetwork['backend']): Promise<NetworkEnd[]> {
	const hex = (value: number): string => value.toString(16).padStart(2, '0');
	const planned = guests.map((guest, place) => ({guest, mac: `02:00:00:be:${hex(number)}:${hex(place + 1)}`, address: `198.18.${number}.${place + 1}`}));
	const ends: NetworkEnd[] = [];
	for (const [place, {guest, mac, address}] of planned.entries()) {
		const id = `bench${number}`;
		await guest.qmp.execute('netdev_add', {id, ...backend(place)});
		await guest.qmp.execute('device_add', {driver: 'virtio-net-pci', id: `nic-${id}`, netdev: id, mac, romfile: '', guest_announce: false, ctrl_vlan: false});
		const device = await until(`${guest.name} has its new NIC`, async () => {
			const found = await guest.run(`grep -l ${mac} /sys/class/net/*/address || true`);
			return found === '' ? {met: false, seen: 'no device with its address'} : {met: true, value: path.basename(path.dirname(found))};
		}, {deadline: 60_000, interval: 200});
		await guest.run([
			`echo 1 >/proc/sys/net/ipv6/conf/${device}/disable_ipv6`,
			`ip link set dev ${device} mtu 1500 up`,
			`ip address add ${address}/24 dev ${device}`,
			...planned.filter((other) => other.guest !== guest).map((other) => `ip neighbour replace ${other.address} lladdr ${other.mac} dev ${device} nud permanent`),
		].join(' && '));
		ends.push({guest, device, mac, address});
	}

	return ends;
}
