import path from 'node:path';
import test from 'ava';
import {headerBytes} from '../../lab/fabric/framing.ts';
import {type Network, type NetworkDeclaration, type NetworkState, openNetwork} from '../../lab/fabric/network.ts';
import {longestSwitchedFrame} from '../../lab/fabric/switch.ts';
import {accessPort, outgoingForms, tagOf, trunkPort} from '../../lab/fabric/vlan.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {ethernetFrame, everybody, mac, withHeader} from './ethernet-frame.ts';
import {connectNic, type Nic} from './nic.ts';
import {taken, withNics} from './open-network.ts';

/** A frame with a tag; `control` are the sixteen bits of priority and VLAN. */
function tagged(control: number, frame: Buffer, type = 0x8100): Buffer {
	const tag = Buffer.alloc(4);
	tag.writeUInt16BE(type, 0);
	tag.writeUInt16BE(control, 2);
	return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)]);
}

const blue = 10;
const green = 20;

/** Two machines in blue, one in green, two on the trunk. */
const machines = ['blue', 'blue', 'green', 'trunk', 'trunk'] as const;

async function withTrunk(use: (network: Network, nics: readonly [Nic, Nic, Nic, Nic, Nic]) => Promise<void>, more: Partial<NetworkDeclaration> = {}): Promise<void> {
	await withNics(
		{name: 'trunk', vlans: [{network: 'blue', id: blue, families: ['ipv6']}, {network: 'green', id: green}], ...more},
		machines.map((own) => (own === 'trunk' ? undefined : own)),
		async (network, nics) => use(network, nics as unknown as readonly [Nic, Nic, Nic, Nic, Nic]),
	);
}

test('a tag is read where there is one', (t) => {
	const frame = ethernetFrame(everybody, mac(0));
	const tag = (bytes: Buffer): number | undefined => tagOf(Buffer.concat([Buffer.alloc(5), bytes]), 5, 5 + bytes.length);
	t.is(tag(frame), undefined);
	t.is(tag(tagged(blue, frame)), blue);
	t.is(tag(tagged(0xe000 | 4094, frame)), 4094);
	t.is(tag(tagged(0xa000, frame)), 0);
	t.is(tag(tagged(blue, frame, 0x88a8)), undefined, 'a provider\'s tag is another switch\'s matter');
	t.is(tag(tagged(green, tagged(blue, frame))), green, 'the outer one counts');
	t.is(tag(tagged(blue, frame).subarray(0, 17)), undefined, 'it is cut short');
});

test('ports say what VLAN a frame is of, or why it is of none', (t) => {
	const frame = ethernetFrame(everybody, mac(0));
	const [access, trunk] = [accessPort(blue), trunkPort(new Set([blue, green]))];
	const of = (port: typeof access, bytes: Buffer): unknown => port.classify(bytes, 0, bytes.length);
	t.deepEqual(of(access, frame), {vlan: blue});
	t.deepEqual(of(access, tagged(0x6000, frame)), {vlan: blue}, 'a tag with a priority alone');
	t.deepEqual(of(access, tagged(blue, frame)), {reason: 'tagged'});
	t.deepEqual(of(access, tagged(green, frame)), {reason: 'tagged'});
	t.deepEqual(of(trunk, tagged(0x6000 | green, frame)), {vlan: green});
	t.deepEqual(of(trunk, tagged(30, frame)), {reason: 'other-vlan'});
	t.deepEqual(of(trunk, frame), {reason: 'untagged'});
	t.deepEqual(of(trunk, tagged(0x6000, frame)), {reason: 'untagged'});
	t.deepEqual(of(trunk, frame.subarray(0, 13)), {reason: 'runt'});
	t.deepEqual([access.carries(blue), access.carries(green), trunk.carries(green), trunk.carries(30)], [true, false, true, false]);
});

test('a frame gets a tag or loses it, keeps its priority and is not changed itself', (t) => {
	const frame = ethernetFrame(everybody, mac(0), 'hello');
	const forms = (bytes: Buffer, vlan: number): Record<'with' | 'without', Buffer> => {
		const framed = Buffer.concat([Buffer.alloc(3), withHeader(bytes)]);
		const formOf = outgoingForms(framed, 3, framed.length, vlan);
		const [withTag, without] = [true, false].map((wanted) => {
			const {buffer, start, end} = formOf(wanted);
			t.is(buffer.readUInt32BE(start), end - start - headerBytes, 'QEMU\'s header has its length');
			t.is(formOf(wanted).buffer, buffer, 'it is made once');
			return Buffer.from(buffer.subarray(start + headerBytes, end));
		});
		t.deepEqual(framed.subarray(3 + headerBytes), bytes);
		return {with: withTag!, without: without!};
	};

	t.deepEqual(forms(frame, blue), {with: tagged(blue, frame), without: frame});
	t.deepEqual(forms(tagged(0x6000 | blue, frame), blue), {with: tagged(0x6000 | blue, frame), without: frame});
	t.deepEqual(forms(tagged(0xa000, frame), blue), {with: tagged(0xa000 | blue, frame), without: frame});
	t.deepEqual(forms(tagged(blue, tagged(7, frame)), blue).without, tagged(7, frame));
});

test('frames stay in their VLAN, untagged at access ports and tagged on trunks', async (t) => {
	await withTrunk(async (network, [a, b, c, d, e]) => {
		const fromBlue = ethernetFrame(everybody, mac(0), 'blue');
		a.send(fromBlue);
		await Promise.all([b.gets(1), d.gets(1), e.gets(1)]);
		t.deepEqual([b.got[0], d.got[0], e.got[0]], [fromBlue, tagged(blue, fromBlue), tagged(blue, fromBlue)]);
		const fromTrunk = ethernetFrame(everybody, mac(3), 'green');
		d.send(tagged(green, fromTrunk));
		await Promise.all([c.gets(1), e.gets(2)]);
		t.deepEqual([c.got[0], e.got[1]], [fromTrunk, tagged(green, fromTrunk)]);
		t.deepEqual([a, b, c, d, e].map(({got}) => got.length), [0, 1, 1, 1, 2]);
		t.deepEqual(network.report().map(({port, network: own, droppedIn}) => [`${port}@${own}`, droppedIn]), [
			['node-0@blue', 0], ['node-1@blue', 0], ['node-2@green', 0], ['node-3@trunk', 0], ['node-4@trunk', 0],
		]);
	});
});

test('a station is learnt in its VLAN alone: one address may be at different ports', async (t) => {
	await withTrunk(async (network, [a, b, c, d, e]) => {
		// The address of node-0 in blue is that of node-2 in green.
		a.send(ethernetFrame(everybody, mac(0), 'blue'));
		await e.gets(1);
		c.send(ethernetFrame(everybody, mac(0), 'green'));
		await e.gets(2);
		d.send(tagged(blue, ethernetFrame(mac(0), mac(3), 'for blue')), tagged(green, ethernetFrame(mac(0), mac(3), 'for green')));
		t.deepEqual(await a.gets(1), ['for blue']);
		t.deepEqual(await c.gets(1), ['for green']);
		t.deepEqual([b, e].map(({got}) => got.length), [1, 2], 'what is known goes to one port');
		const address = (index: number): number => 0x02_00_00_00_00_00 + index;
		t.deepEqual(network.state().stations.map(({age: _age, ...station}) => station), [
			{address: address(0), port: 0, vlan: blue}, {address: address(3), port: 3, vlan: blue}, {address: address(0), port: 2, vlan: green}, {address: address(3), port: 3, vlan: green},
		]);
	});
});

test('what belongs to no VLAN of a port is dropped and counted with its reason, and reaches nobody', async (t) => {
	await withTrunk(async (network, [a, b, c, d, e]) => {
		const frame = ethernetFrame(everybody, mac(3), 'x');
		d.send(frame, tagged(30, frame), tagged(0x2000, frame), Buffer.alloc(13), Buffer.alloc(longestSwitchedFrame + 1), tagged(blue, ethernetFrame(everybody, mac(3), 'fine')));
		a.send(tagged(blue, frame), tagged(green, frame));
		await Promise.all([b.gets(1), taken(network, 8)]);
		t.deepEqual([a, b, c, e].map(({got}) => got.length), [1, 1, 0, 1]);
		const [first, , , fourth] = network.report();
		t.deepEqual(first!.dropsIn, {tagged: 2});
		t.deepEqual(fourth!.dropsIn, {untagged: 3, 'other-vlan': 1, runt: 1});
	});
});

test('a frame as long as a packet can be crosses a trunk and an access port', async (t) => {
	await withTrunk(async (_network, [a, b, _c, d]) => {
		const longest = ethernetFrame(mac(3), mac(0), 'long', 65_535 + 14);
		d.send(tagged(blue, ethernetFrame(everybody, mac(3))));
		await a.gets(1);
		a.send(longest);
		await d.gets(1);
		t.deepEqual(d.got[0], tagged(blue, longest));
		d.send(tagged(blue, ethernetFrame(mac(0), mac(3), 'back', 65_535 + 14)));
		await a.gets(2);
		t.is(a.got[1]!.length, 65_535 + 14);
		t.is(b.got.length, 1);
	});
});

test('frames are counted in their VLAN and on the trunk, and one of a family that a VLAN does not carry is told of there', async (t) => {
	await withTrunk(async (network, [a, _b, c, d, e]) => {
		const ipv4 = ethernetFrame(everybody, mac(3));
		ipv4.writeUInt16BE(0x0800, 12);
		c.send(ipv4);
		a.send(ethernetFrame(everybody, mac(0)));
		d.send(tagged(blue, ipv4), tagged(30, ipv4));
		await Promise.all([e.gets(3), taken(network, 4)]);
		const traffic = network.traffic();
		t.deepEqual(traffic.map(({network: name, frames}) => [name, frames.ipv4, frames.other]), [['trunk', 2, 0], ['blue', 1, 1], ['green', 1, 0]]);
		t.deepEqual(traffic.map(({foreign}) => foreign?.machine), [undefined, 'node-3', undefined]);
	});
});

test('impairments apply to a VLAN\'s access link and to a trunk as a whole, and are found by the link\'s name', async (t) => {
	await withTrunk(async (network, [a, b, c, d, e]) => {
		t.is(network.changeLink({kind: 'impair', link: 'node-1@trunk', impairments: []}), undefined, 'no such link');
		t.deepEqual(network.changeLink({kind: 'impair', link: 'node-1@blue', impairments: [{direction: 'to', cut: true}]}), {carrier: 'up', impairments: []});
		network.changeLink({kind: 'impair', link: 'node-3@trunk', impairments: [{direction: 'to', mtu: 100}]});
		// What is behind header and tag counts.
		a.send(ethernetFrame(everybody, mac(0), 'one', 114), ethernetFrame(everybody, mac(0), 'two', 115));
		await e.gets(2);
		t.is(d.got.length, 1);
		t.deepEqual([b, c].map(({got}) => got.length), [0, 0]);
		t.deepEqual(network.links().map(({link, to}) => [link, to.dropped]), [
			['node-0@blue', {}], ['node-1@blue', {cut: 2}], ['node-2@green', {}], ['node-3@trunk', {'too-long': 1}], ['node-4@trunk', {}],
		]);
	});
});

test('a trunk goes on from its state: stations in their VLANs, frames, what is set and what was counted', async (t) => {
	let state: NetworkState | undefined;
	await withTrunk(async (network, [a, _b, c, d, e]) => {
		a.send(ethernetFrame(everybody, mac(0), 'blue'));
		c.send(ethernetFrame(everybody, mac(0), 'green'));
		await e.gets(2);
		network.changeLink({kind: 'impair', link: 'node-1@blue', impairments: [{direction: 'to', cut: true}]});
		network.changeLink({kind: 'impair', link: 'node-4@trunk', impairments: [{direction: 'from', cut: true}]});
		network.hold();
		d.send(tagged(green, ethernetFrame(mac(0), mac(3), 'on its way')));
		await taken(network, 3);
		state = JSON.parse(JSON.stringify(network.state())) as NetworkState;
	});
	await withTrunk(async (network, [a, b, c, _d, e]) => {
		network.release();
		t.deepEqual(await c.gets(1), ['on its way']);
		t.deepEqual([a, b, e].map(({got}) => got.length), [0, 0, 0], 'it knew where the station is in green');
		t.deepEqual(network.links().map(({link, from, to}) => [link, from.impairments.length, to.impairments.length]).filter(([, from, to]) => from !== 0 || to !== 0), [['node-1@blue', 0, 1], ['node-4@trunk', 1, 0]]);
		t.deepEqual(network.traffic().map(({frames}) => frames.other), [1, 1, 2]);
	}, {state});
});

test('a wire carries everything to its other end, whomever it is for, and learns nobody', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const network = await openNetwork({name: 'wire', wire: true, ports: [0, 1].map((index) => ({name: `router-${index}`, socket: `${index}.sock`}))}, folder);
		const [a, b] = await Promise.all([0, 1].map(async (index) => connectNic(path.join(folder, `${index}.sock`))));
		b!.send(ethernetFrame(everybody, mac(1), 'hello'));
		t.deepEqual(await a!.gets(1), ['hello']);
		// A switch would keep what is for its own port's station, and what has moved.
		a!.send(ethernetFrame(mac(0), mac(0), 'to myself'), ethernetFrame(everybody, mac(1), 'as the other'), ethernetFrame(mac(1), mac(0), 'last'), tagged(7, ethernetFrame(mac(1), mac(0))), Buffer.alloc(13));
		t.deepEqual((await b!.gets(4)).slice(0, 3), ['to myself', 'as the other', 'last']);
		await taken(network, 6);
		t.deepEqual(network.report()[0]!.dropsIn, {runt: 1});
		t.deepEqual(network.state().stations, []);
		for (const nic of [a, b]) {
			nic!.socket.destroy();
		}

		await network.close();
	});
});
