import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import test from 'ava';
import {headerBytes, longestFrame} from '../../lab/fabric/framing.ts';
import type {DropReason} from '../../lab/fabric/counters.ts';
import type {Network, NetworkState} from '../../lab/fabric/network.ts';
import {longestQueue} from '../../lab/fabric/port.ts';
import {longestSwitchedFrame} from '../../lab/fabric/switch.ts';
import type {Impairment} from '../../lab/spec/impairment.ts';
import {until} from '../../lab/host/wait.ts';
import {ethernetFrame, everybody, mac, payloadOf, withHeader} from './ethernet-frame.ts';
import type {Nic} from './nic.ts';
import {taken, withNics} from './open-network.ts';

async function withNetwork(ports: number, use: (network: Network, nics: Nic[]) => Promise<void>, state?: NetworkState): Promise<void> {
	await withNics({name: 'cluster', state}, Array.from({length: ports}, () => undefined), use);
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
		t.is(network.traffic()[0]!.frames.other, 2);
		state = network.state();
	});
	await withNetwork(2, async (network, [, b]) => {
		b!.send(ethernetFrame(everybody, mac(1), 'three'));
		await taken(network, 1);
		t.deepEqual(network.traffic(), [{network: 'cluster', frames: {ipv4: 0, arp: 0, ipv6: 0, other: 3}}]);
	}, state);
});

/** Sets impairments on a link of the network. */
function impair(network: Network, index: number, ...impairments: Impairment[]): void {
	network.changeLink({kind: 'impair', link: `node-${index}@cluster`, impairments});
}

/** Waits until so many frames were dropped on a link for that reason, in that direction. */
async function dropped(network: Network, index: number, direction: 'from' | 'to', reason: DropReason, count: number): Promise<void> {
	await until(`${count} frames are dropped`, async () => {
		const {[reason]: found = 0} = network.links()[index]![direction].dropped;
		return found >= count ? {met: true, value: undefined} : {met: false, seen: `${found}`};
	}, {deadline: 20_000, interval: 20});
}

test('a link that is cut one way carries the other, and all of it again when it is cleared', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		impair(network, 1, {direction: 'to', cut: true});
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		t.deepEqual(await c!.gets(1), ['one']);
		await dropped(network, 1, 'to', 'cut', 1);
		b!.send(ethernetFrame(mac(0), mac(1), 'I hear nothing'));
		t.deepEqual(await a!.gets(1), ['I hear nothing']);
		network.changeLink({kind: 'clear', link: 'node-1@cluster'});
		a!.send(ethernetFrame(mac(1), mac(0), 'two'));
		t.deepEqual(await b!.gets(1), ['two']);
		const [, {droppedOut, dropsOut, framesOut}] = network.report() as [unknown, {droppedOut: number; dropsOut: object; framesOut: number}];
		t.deepEqual([droppedOut, dropsOut, framesOut], [1, {cut: 1}, 1]);
	});
});

test('what is lost on the way from a machine reaches nobody, and was sent nevertheless', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		impair(network, 0, {direction: 'from', cut: true, match: {destinationMac: everybody}});
		a!.send(ethernetFrame(everybody, mac(0), 'lost'), ethernetFrame(mac(1), mac(0), 'two'));
		// b is not known: its frame goes to all.
		t.deepEqual(await b!.gets(1), ['two']);
		t.deepEqual(await c!.gets(1), ['two']);
		t.is(network.traffic()[0]!.frames.other, 2);
		t.like(network.links()[0], {link: 'node-0@cluster', from: {frames: 2, dropped: {cut: 1}}});
	});
});

test('frames are delayed on both links that they cross, and come in their order', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		impair(network, 0, {direction: 'from', delay: 60});
		impair(network, 1, {direction: 'to', delay: 60});
		const payloads = Array.from({length: 50}, (_, index) => `frame ${index}`);
		const begin = performance.now();
		a!.send(...payloads.map((payload) => ethernetFrame(mac(1), mac(0), payload)));
		t.deepEqual(await b!.gets(50), payloads);
		// Not before; how much later is up to the computer.
		t.true(performance.now() - begin >= 119);
	});
});

test('frames that wait on a link, or for a machine that does not read, are what they were, whatever comes after them', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		impair(network, 1, {direction: 'to', delay: 300});
		for (const [index, payload] of ['one', 'two', 'three'].entries()) {
			a!.send(ethernetFrame(mac(1), mac(0), payload));
			await taken(network, index + 1);
		}

		t.deepEqual(await b!.gets(3), ['one', 'two', 'three']);
		network.changeLink({kind: 'clear', link: 'node-1@cluster'});
		c!.socket.pause();
		// Each in a read of its own, and more than the kernel keeps for a machine, but less than its queue.
		let sent = 0;
		for (let late = 0; late < 300; sent++) {
			a!.send(ethernetFrame(everybody, mac(0), `number ${sent}`, 1514));
			await taken(network, 4 + sent);
			late += network.flushed ? 0 : 1;
		}

		c!.socket.resume();
		t.deepEqual((await c!.gets(sent + 3)).slice(3), Array.from({length: sent}, (_, index) => `number ${index}`));
	});
});

test('lost frames are those that the seed says, on two networks alike', async (t) => {
	const outcomes: string[][] = [];
	for (const seed of [1, 1, 2]) {
		await withNetwork(2, async (network, [a, b]) => {
			impair(network, 1, {direction: 'to', loss: 0.5, seed});
			a!.send(...Array.from({length: 200}, (_, index) => ethernetFrame(mac(1), mac(0), `${index}`)));
			await taken(network, 200);
			const lost = network.links()[1]!.to.dropped.loss!;
			outcomes.push(await b!.gets(200 - lost));
		});
	}

	t.deepEqual(outcomes[0], outcomes[1]);
	t.notDeepEqual(outcomes[0], outcomes[2]);
});

test('without a carrier a machine neither sends nor gets', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		network.changeLink({kind: 'carrier', link: 'node-1@cluster', carrier: 'down'});
		b!.send(ethernetFrame(everybody, mac(1), 'from b'));
		a!.send(ethernetFrame(everybody, mac(0), 'from a'));
		t.deepEqual(await c!.gets(1), ['from a']);
		await dropped(network, 1, 'from', 'no-carrier', 1);
		await dropped(network, 1, 'to', 'no-carrier', 1);
		t.is(b!.got.length, 0);
		t.is(network.links()[1]!.carrier, 'down');
	});
});

test('a held network takes impairments and frames that wait along, and another one goes on with the same decisions', async (t) => {
	const send = (from: number, to: number): Buffer[] => Array.from({length: to - from}, (_, index) => ethernetFrame(mac(1), mac(0), `${from + index}`));
	const impairments: Impairment[] = [{direction: 'to', loss: 0.4, burst: {enter: 0.1, leave: 0.3, loss: 0.9}, delay: 50, jitter: 20, seed: 5}];
	// What becomes of 400 frames where nothing comes between.
	let whole: string[] = [];
	await withNetwork(2, async (network, [a, b]) => {
		impair(network, 1, ...impairments);
		a!.send(...send(0, 400));
		await taken(network, 400);
		whole = await b!.gets(400 - network.links()[1]!.to.dropped.loss!);
	});
	let state: NetworkState | undefined;
	let before: string[] = [];
	await withNetwork(2, async (network, [a, b]) => {
		impair(network, 1, ...impairments);
		a!.send(...send(0, 150));
		await taken(network, 150);
		network.hold();
		a!.send(...send(150, 200));
		await taken(network, 200);
		state = JSON.parse(JSON.stringify(network.state())) as NetworkState;
		const {waiting} = state.links![0]!;
		t.is(state.frames.length, 50, 'nothing is decided of what comes while it is held');
		before = await b!.gets(150 - network.links()[1]!.to.dropped.loss! - waiting.length);
		t.deepEqual(network.links()[1]!.to.waiting, waiting.length);
	});
	await withNetwork(2, async (network, [a, b]) => {
		t.is(network.links()[1]!.to.impairments[0]?.frames, 150);
		network.release();
		a!.send(...send(200, 400));
		await taken(network, 200);
		const after = await b!.gets(whole.length - before.length);
		t.deepEqual([...before, ...after].sort(), [...whole].sort());
	}, state);
});

test('what waits has as long to wait after a network was held as before', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		impair(network, 1, {direction: 'to', delay: 600_000});
		a!.send(ethernetFrame(mac(1), mac(0), 'late'));
		await taken(network, 1);
		network.hold();
		const left = (): number => network.state().links![0]!.waiting[0]!.left;
		const first = left();
		t.true(first > 0 && first <= 600_000);
		const begin = performance.now();
		await until('some time has gone', async () => (performance.now() - begin > 50 ? {met: true, value: undefined} : {met: false, seen: 'not yet'}), {deadline: 5000, interval: 10});
		t.is(left(), first);
		t.is(b!.got.length, 0);
	});
});

test('a state without links, of before there were impairments, is one without impairments', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		network.release();
		a!.send(ethernetFrame(mac(1), mac(0), 'one'));
		t.deepEqual(await b!.gets(1), ['one']);
		t.is(network.state().links, undefined);
	}, {name: 'cluster', stations: [], frames: []});
});

test('what no switch carries is dropped with its reason, and what is next is carried', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		b!.send(ethernetFrame(everybody, mac(1), 'b is here'));
		await a!.gets(1);
		a!.send(Buffer.alloc(0), Buffer.alloc(13), Buffer.alloc(longestSwitchedFrame + 1), Buffer.alloc(longestFrame), ethernetFrame(everybody, mac(0), 'a'), ethernetFrame(mac(0), mac(0), 'to myself'), ethernetFrame(mac(1), mac(0), 'fine'));
		t.deepEqual(await b!.gets(2), ['a', 'fine']);
		t.like(network.report()[0], {droppedIn: 5, dropsIn: {runt: 2, giant: 2, 'same-port': 1}, framesIn: 7});
	});
});

test('a length that no frame has ends the connection, after the frames before it, and is counted', async (t) => {
	await withNetwork(2, async (network, [a, b]) => {
		const closed = new Promise((resolve) => {
			a!.socket.once('close', resolve);
		});
		a!.socket.write(Buffer.concat([withHeader(ethernetFrame(everybody, mac(0), 'before')), Buffer.from('ffffffff', 'hex'), withHeader(ethernetFrame(everybody, mac(0), 'behind'))]));
		await closed;
		t.deepEqual(await b!.gets(1), ['before']);
		t.like(network.report()[0], {dropsIn: {broken: 1}, framesIn: 1});
	});
});

test('frames for nobody, and for a machine that does not read, are counted apart', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		const gone = new Promise((resolve) => {
			c!.socket.once('close', resolve);
		});
		c!.socket.destroy();
		await gone;
		b!.socket.pause();
		let sent = 0;
		await until('both are told', async () => {
			a!.send(...Array.from({length: 100}, () => ethernetFrame(everybody, mac(0), 'x', 9000)));
			sent += 100;
			await taken(network, sent);
			const [, {to: {dropped: slow}}, {to: {dropped: none}}] = network.links() as [unknown, {to: {dropped: Record<string, number>}}, {to: {dropped: Record<string, number>}}];
			return slow['not-read']! > 0 && none['not-connected']! > 0 ? {met: true, value: undefined} : {met: false, seen: JSON.stringify({slow, none})};
		}, {deadline: 20_000, interval: 20});
		const [, slow] = network.report();
		t.is(slow!.droppedOut + slow!.framesOut, sent, 'each frame was taken or counted as lost');
	});
});

/** Bytes of buffers that something still holds. */
function heldBytes(): number {
	setFlagsFromString('--expose-gc');
	(runInNewContext('gc') as () => void)();
	return process.memoryUsage().arrayBuffers;
}

// Alone: what other tests hold would be counted too.
test.serial('a machine that does not read keeps no more than its frames, however much came along with them', async (t) => {
	await withNetwork(3, async (network, [a, b, c]) => {
		b!.send(ethernetFrame(everybody, mac(1), 'b is here'));
		c!.send(ethernetFrame(everybody, mac(2), 'c is here'));
		await a!.gets(2);
		b!.socket.pause();
		// What the kernel keeps for it is full first.
		let sent = 0;
		for (; network.flushed; sent += 100) {
			a!.send(...Array.from({length: 100}, () => ethernetFrame(mac(1), mac(0), 'x', 1514)));
			await taken(network, 2 + sent + 100);
		}

		const before = heldBytes();
		const count = 1000;
		for (let index = 0; index < count; index++) {
			a!.send(ethernetFrame(mac(1), mac(0), 'x', 60), Buffer.alloc(longestFrame - 10_000));
			sent += 2;
			if (index % 50 === 49) {
				await taken(network, 2 + sent);
			}
		}

		t.is(network.report()[1]?.droppedOut, 0);
		// What is garbage is given back when the runtime gets to it.
		await until('little is held', async () => {
			const held = heldBytes() - before;
			return held < 16 * 1024 * 1024 ? {met: true, value: undefined} : {met: false, seen: `${held} bytes of ${count * 60}`};
		}, {deadline: 30_000, interval: 100});
	});
});

test('a flood over a link with a rate keeps no more than its limit', async (t) => {
	await withNetwork(2, async (network, [a]) => {
		impair(network, 1, {direction: 'to', rate: 8000, limit: {frames: 10}});
		for (let sent = 100; sent <= 2000; sent += 100) {
			a!.send(...Array.from({length: 100}, () => ethernetFrame(everybody, mac(0), 'x', 9000)));
			await taken(network, sent);
		}

		const {to} = network.links()[1]!;
		t.is(to.waiting, 10);
		t.is(to.frames + to.waiting + to.dropped['queue-full']!, 2000);
	});
});
