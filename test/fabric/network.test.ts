import path from 'node:path';
import test from 'ava';
import {headerBytes} from '../../lab/fabric/framing.ts';
import {type Network, type NetworkState, openNetwork} from '../../lab/fabric/network.ts';
import {longestQueue} from '../../lab/fabric/port.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {ethernetFrame, everybody, mac, payloadOf, withHeader} from './ethernet-frame.ts';
import {connectNic, type Nic} from './nic.ts';

async function withNetwork(ports: number, use: (network: Network, nics: Nic[]) => Promise<void>, state?: NetworkState): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const network = await openNetwork({
			name: 'cluster', ports: Array.from({length: ports}, (_, index) => ({name: `node-${index}`, socket: `${index}.sock`})), ...(state && {state}),
		}, folder);
		const nics = await Promise.all(Array.from({length: ports}, async (_, index) => connectNic(path.join(folder, `${index}.sock`))));
		try {
			await use(network, nics);
		} finally {
			for (const nic of nics) {
				nic.socket.destroy();
			}

			await network.close();
		}
	});
}

/** Waits until the network has taken so many frames. */
async function taken(network: Network, count: number): Promise<void> {
	await until(`${count} frames are taken`, async () => (network.taken >= count ? {met: true, value: undefined} : {met: false, seen: `${network.taken}`}), {deadline: 20_000, interval: 20});
}

/** The frames of a state: the port and the payload of each. */
function framesOf({frames}: NetworkState): Array<[number, string]> {
	return frames.map(({port, frame}) => [port, payloadOf(Buffer.from(frame, 'base64').subarray(headerBytes))]);
}

test('a network that is held gives nothing to machines, and all of it in its order when it is released', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		network.hold();
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		await taken(network, 1);
		c!.send(ethernetFrame(mac(1), mac(2), 'two'));
		await taken(network, 2);
		a!.send(ethernetFrame(mac(2), mac(0), 'three'), ethernetFrame(mac(1), mac(0), 'four'));
		await taken(network, 4);
		t.deepEqual(framesOf(network.state()), [[0, 'one'], [2, 'two'], [0, 'three'], [0, 'four']]);
		t.deepEqual(network.report().map(({framesIn, framesOut}) => [framesIn, framesOut]), [[3, 0], [0, 0], [1, 0]]);
		network.release();
		t.deepEqual(await b!.gets(3), ['one', 'two', 'four']);
		// By then c is known, so that its frame is for it alone.
		t.deepEqual(await c!.gets(3), ['one', 'three', 'four']);
		t.deepEqual(framesOf(network.state()), []);
		a!.send(ethernetFrame(mac(2), mac(0), 'five'));
		t.is((await c!.gets(4)).at(-1), 'five');
		t.is(b!.got.length, 3);
	});
});

test('a network that is held twice has lost nothing', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		network.hold();
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		await taken(network, 1);
		network.hold();
		t.deepEqual(framesOf(network.state()), [[0, 'one']]);
		network.release();
		t.deepEqual(await b!.gets(1), ['one']);
	});
});

test('a network that was not held is released without harm', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		network.release();
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		t.deepEqual(await b!.gets(1), ['one']);
	});
});

test('a network that starts from a state is held, knows its stations, and carries its frames first', async (t) => {
	const state: NetworkState = {
		name: 'cluster',
		stations: [{address: 0x02_00_00_00_00_02, port: 2, age: 5000}],
		frames: [{port: 0, frame: withHeader(ethernetFrame(mac(2), mac(0), 'on its way')).toString('base64')}],
	};
	await withNetwork(3, async (network, [a, b, c]) => {
		t.deepEqual(framesOf(network.state()), [[0, 'on its way']]);
		t.true(network.state().stations[0]!.age >= 5000);
		a!.send(ethernetFrame(mac(2), mac(0), 'later'));
		await taken(network, 1);
		t.deepEqual(framesOf(network.state()), [[0, 'on its way'], [0, 'later']]);
		t.deepEqual([a, b, c].map((nic) => nic!.got.length), [0, 0, 0]);
		network.release();
		t.deepEqual(await c!.gets(2), ['on its way', 'later']);
		t.is(b!.got.length, 0, 'it knew where the station is');
	}, state);
});

test('what is kept meanwhile is bounded, and what is lost of it is counted', async (t) => {
	await withNetwork(2, async (network, [a]) => {
		network.hold();
		const frame = ethernetFrame(everybody, mac(0), 'x', 9000);
		const fits = Math.floor((2 * longestQueue) / (frame.length + headerBytes));
		for (let sent = 0; sent < fits + 100; sent += 50) {
			a!.send(...Array.from({length: 50}, () => frame));
		}

		const count = Math.ceil((fits + 100) / 50) * 50;
		await taken(network, count);
		const kept = network.state().frames.length;
		t.true(kept <= fits + 1 && kept >= fits - 1, `${kept} of ${fits}`);
		t.is(network.report()[0]?.droppedIn, count - kept);
		// Once released there is room for as much again.
		network.release();
		network.hold();
		a!.send(frame);
		await taken(network, count + 1);
		t.is(network.state().frames.length, 1);
	});
});

test('a network says when machines have not read yet what they were given', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		t.true(network.flushed);
		b!.socket.pause();
		const batch = Array.from({length: 100}, () => ethernetFrame(everybody, mac(0), 'x', 1514));
		for (let sent = 100; network.flushed; sent += 100) {
			t.true(sent < 10_000);
			a!.send(...batch);
			await taken(network, sent);
		}

		b!.socket.resume();
		await until('all is with the machine', async () => (network.flushed ? {met: true, value: undefined} : {met: false, seen: 'some is not'}), {deadline: 20_000, interval: 20});
		t.is(b!.got.length > 0, true);
	});
});

test('a network counts what machines send, and goes on counting where another one stopped', async (t) => {
	let state: NetworkState | undefined;
	await withNetwork(2, async (network, [a]) => {
		a!.send(ethernetFrame(everybody, mac(0), 'one'), ethernetFrame(mac(1), mac(0), 'two'));
		await taken(network, 2);
		t.is(network.traffic().frames.other, 2);
		state = network.state();
	});
	await withNetwork(2, async (network, [, b]) => {
		b!.send(ethernetFrame(everybody, mac(1), 'three'));
		await taken(network, 1);
		t.deepEqual(network.traffic(), {network: 'cluster', frames: {ipv4: 0, arp: 0, ipv6: 0, other: 3}});
	}, state);
});
