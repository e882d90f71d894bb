import test from 'ava';
import {describeFlow, findFlows, type Flow, passesThrough, selectFlows} from '../../lab/fabric/flow.ts';
import type {LinkDirection} from '../../lab/spec/impairment.ts';
import type {RecordedFrame} from '../../lab/fabric/recording.ts';
import {arp, icmp, ip, tcp, udp} from './packets.ts';

/** Frames one after the other, each on its way over links: '>' to the machine of a link, '<' from it. */
function recorder(): {frames: RecordedFrame[]; cross(path: string, bytes: Buffer, dropped?: string): void} {
	const frames: RecordedFrame[] = [];
	return {
		frames,
		cross(path, bytes, dropped) {
			const crossings = path.split(' ');
			for (const [index, crossing] of crossings.entries()) {
				const direction: LinkDirection = crossing.startsWith('<') ? 'from' : 'to';
				frames.push({
					link: crossing.slice(1), direction, time: 1000 + frames.length, length: bytes.length, bytes: bytes.subarray(0, 256),
					...(dropped !== undefined && index === crossings.length - 1 && {dropped}),
				});
			}
		},
	};
}

const inward = '<tester-1@external >router-1@external <router-1@cluster >node-1@cluster';
const outward = '<node-1@cluster >router-1@cluster <router-1@external >tester-1@external';
const [client, server] = ['192.168.2.221', '10.0.0.2'];

/** A TCP segment of the client, and one of the server. */
const ask = (options: Parameters<typeof tcp>[2], [from, to]: readonly [string, string] = [client, server], port = 40_000): Buffer => ip('tcp', from, to, tcp(port, 80, options));
const answer = (options: Parameters<typeof tcp>[2], [from, to]: readonly [string, string] = [server, client], port = 40_000): Buffer => ip('tcp', from, to, tcp(80, port, options));

/** `<` and `>` as above. */
function pathOf(flow: Flow, way: 'there' | 'back' = 'there'): string {
	return flow.crossings.filter((crossing) => crossing.way === way).map(({link, direction}) => `${direction === 'from' ? '<' : '>'}${link}`).join(' ');
}

/** A whole connection: a request of 100 bytes, an answer of 1000. */
function talk(cross: (path: string, bytes: Buffer) => void, port = 40_000, first = 1000): void {
	cross(inward, ask({flags: 'S', sequence: first}, undefined, port));
	cross(outward, answer({flags: 'S.', sequence: 5000, acknowledgment: first + 1}, undefined, port));
	cross(inward, ask({sequence: first + 1, acknowledgment: 5001, data: 'x'.repeat(100)}, undefined, port));
	cross(outward, answer({sequence: 5001, acknowledgment: first + 101, data: 'y'.repeat(1000)}, undefined, port));
	cross(inward, ask({flags: 'F.', sequence: first + 101, acknowledgment: 6001}, undefined, port));
	cross(outward, answer({flags: 'F.', sequence: 6001, acknowledgment: first + 102}, undefined, port));
}

test('a TCP connection over a router is one flow, with the links of each way in their order', (t) => {
	const {frames, cross} = recorder();
	talk(cross);
	const flows = findFlows(frames);
	t.is(flows.length, 1);
	const [flow] = flows as [Flow];
	t.like(flow, {
		family: 'ipv4', protocol: 'tcp', protocolNumber: 6, from: {address: client, port: 40_000}, to: {address: server, port: 80}, isAnswered: true, reset: undefined,
		there: {frames: 3, bytes: 54 * 3 + 100, retransmissions: 0}, back: {frames: 3, bytes: 54 * 3 + 1000, retransmissions: 0}, first: 1000, last: 1023,
	});
	t.is(pathOf(flow), inward);
	t.is(pathOf(flow, 'back'), outward);
	t.true(passesThrough(flow, 'router-1'));
	t.true(passesThrough(flow, 'router-1', 'back'));
	t.false(passesThrough(flow, 'node-1'), 'it ends there');
	t.false(passesThrough(flow, 'tester-1'), 'it begins there');
	t.false(passesThrough(flow, 'node-2'), 'it was never there');
	t.deepEqual(describeFlow(flow).slice(0, 3), [
		'tcp 192.168.2.221:40000 -> 10.0.0.2:80: answered; frames there 3, back 3',
		'  there from tester-1@external: 192.168.2.221:40000 -> 10.0.0.2:80, 3',
		'  there to router-1@external: 192.168.2.221:40000 -> 10.0.0.2:80, 3',
	]);
});

test('who began is known by the SYN, and where that was not seen by the answer to it, or by who spoke first', (t) => {
	const begun = recorder();
	begun.cross(outward, answer({flags: 'S.', sequence: 5000, acknowledgment: 1001}));
	t.like(findFlows(begun.frames)[0], {from: {address: client}, to: {address: server}, isAnswered: true});
	const middle = recorder();
	middle.cross(outward, answer({sequence: 5000, data: 'x'}));
	t.like(findFlows(middle.frames)[0], {from: {address: server}, to: {address: client}, isAnswered: false});
});

test('segments that cross a link again are retransmissions, there and on each link beyond', (t) => {
	const {frames, cross} = recorder();
	cross(inward, ask({flags: 'S', sequence: 0xffff_fffe}));
	// Lost behind the router: what comes again is new to node-1.
	cross('<tester-1@external >router-1@external', ask({sequence: 0xffff_ffff, data: 'a'.repeat(10)}));
	cross(inward, ask({sequence: 0xffff_ffff, data: 'a'.repeat(10)}));
	// Over the end of sequence space, in order, and a bare acknowledgment twice.
	cross(inward, ask({sequence: 9, data: 'b'.repeat(10)}));
	cross(inward, ask({sequence: 19}));
	cross(inward, ask({sequence: 19}));
	// Two at once, of which half was there.
	cross(inward, ask({sequence: 14, data: 'b'.repeat(10)}));
	const [flow] = findFlows(frames);
	t.is(flow?.there.retransmissions, 2);
	t.deepEqual(flow?.crossings.map(({link, retransmissions}) => [link, retransmissions]), [
		['tester-1@external', 2], ['router-1@external', 2], ['router-1@cluster', 1], ['node-1@cluster', 1],
	]);
});

test('segments that come in another order are no retransmissions', (t) => {
	const {frames, cross} = recorder();
	for (const sequence of [1000, 1020, 1010, 1040, 1030]) {
		cross(inward, ask({sequence, data: 'x'.repeat(10)}));
	}

	t.is(findFlows(frames)[0]?.there.retransmissions, 0);
});

test('SYN that nobody answers is sent again, and SYN that is refused is reset, and neither is answered', (t) => {
	const {frames, cross} = recorder();
	for (let again = 0; again < 3; again++) {
		cross(inward, ask({flags: 'S', sequence: 1000}));
	}

	t.like(findFlows(frames)[0], {isAnswered: false, reset: undefined, there: {frames: 3, retransmissions: 2}, back: {frames: 0}});
	cross(outward, answer({flags: 'R.', acknowledgment: 1001}));
	const [refused] = findFlows(frames);
	t.like(refused, {isAnswered: false, reset: 'back'});
	t.regex(describeFlow(refused!)[0]!, /not answered, broken off by 10\.0\.0\.2:80; frames there 3 \(2 of them again\), back 1/);
});

test('the same ports with another beginning are another connection', (t) => {
	const {frames, cross} = recorder();
	talk(cross, 40_000, 1000);
	talk(cross, 40_000, 90_000);
	t.deepEqual(findFlows(frames).map(({there, isAnswered}) => [there.frames, isAnswered]), [[3, true], [3, true]]);
});

test('a TCP connection whose addresses are translated on the way stays one flow, which says where they are which', (t) => {
	const {frames, cross} = recorder();
	// node-1 takes a Service's address for a pod on node-2, and its own for the client.
	const pod = '11.0.2.5';
	const inner = (options: Parameters<typeof tcp>[2]): Buffer => ip('tcp', '192.168.1.1', pod, tcp(61_000, 8080, options));
	const innerBack = (options: Parameters<typeof tcp>[2]): Buffer => ip('tcp', pod, '192.168.1.1', tcp(8080, 61_000, options));
	cross(inward, ask({flags: 'S', sequence: 777}));
	cross('<node-1@cluster >node-2@cluster', inner({flags: 'S', sequence: 777}));
	cross('<node-2@cluster >node-1@cluster', innerBack({flags: 'S.', sequence: 888, acknowledgment: 778}));
	cross(outward, answer({flags: 'S.', sequence: 888, acknowledgment: 778}));
	const flows = findFlows(frames);
	t.is(flows.length, 1);
	const [flow] = flows as [Flow];
	t.is(pathOf(flow), `${inward} <node-1@cluster >node-2@cluster`);
	t.is(pathOf(flow, 'back'), `<node-2@cluster >node-1@cluster ${outward}`);
	t.true(passesThrough(flow, 'node-1'));
	t.true(passesThrough(flow, 'node-1', 'back'));
	t.deepEqual(flow.crossings.find(({link, direction, way}) => link === 'node-1@cluster' && direction === 'from' && way === 'there')?.source, {address: '192.168.1.1', port: 61_000});
	t.like(flow, {from: {address: client, port: 40_000}, to: {address: server, port: 80}, there: {frames: 1}, back: {frames: 1}});
	// Either side's addresses find it.
	for (const query of [{port: 80}, {destinationPort: 8080}, {address: pod}, {source: '192.168.1.1', protocol: 'tcp' as const}]) {
		t.is(selectFlows(flows, query).length, 1, JSON.stringify(query));
	}

	t.is(selectFlows(flows, {source: client, destination: pod}).length, 0, 'nowhere had it both');
});

test('NAT64 keeps a TCP connection one flow too', (t) => {
	const {frames, cross} = recorder();
	cross('<node-1@cluster >router-1@cluster', ip('tcp', '1000::1', '64:ff9b::c0a8:2e7', tcp(5000, 80, {flags: 'S', sequence: 42})));
	cross('<router-1@external >server-1@external', ip('tcp', '192.168.2.1', '192.168.2.231', tcp(6000, 80, {flags: 'S', sequence: 42})));
	const [flow, ...others] = findFlows(frames);
	t.deepEqual(others, []);
	t.is(flow?.family, 'ipv6');
	t.true(passesThrough(flow!, 'router-1'));
	t.is(selectFlows([flow!], {family: 'ipv4', destination: '192.168.2.231'}).length, 1);
});

test('connections that began alike by chance, with other answers, are two', (t) => {
	const {frames, cross} = recorder();
	cross('<a@n >b@n', ask({flags: 'S', sequence: 1}));
	cross('<b@n >a@n', answer({flags: 'S.', sequence: 2, acknowledgment: 2}));
	cross('<a@n >b@n', ask({flags: 'S', sequence: 1}, ['192.168.2.9', server]));
	cross('<b@n >a@n', answer({flags: 'S.', sequence: 3, acknowledgment: 2}, [server, '192.168.2.9']));
	t.is(findFlows(frames).length, 2);
});

test('UDP has no beginning to be known by: each side of a translation is a flow of its own', (t) => {
	const {frames, cross} = recorder();
	cross('<node-1@cluster >router-1@cluster', ip('udp', '192.168.1.1', '12.0.0.10', udp(5000, 53, 'question')));
	cross('<router-1@external >server-1@external', ip('udp', '192.168.2.1', '192.168.2.231', udp(5000, 53, 'question')));
	cross('<server-1@external >router-1@external', ip('udp', '192.168.2.231', '192.168.2.1', udp(53, 5000, 'answer')));
	const flows = findFlows(frames);
	t.deepEqual(flows.map(({from, isAnswered}) => [from.address, isAnswered]), [['192.168.1.1', false], ['192.168.2.1', true]]);
	t.is(selectFlows(flows, {protocol: 'udp', port: 53, destination: '192.168.2.231'}).length, 1);
});

test('fragments belong to the flow of the first one, in whatever order they come, in both families', (t) => {
	for (const [source, destination] of [[client, server], ['1000::1', '1000::2']] as const) {
		const {frames, cross} = recorder();
		cross('<a@n >b@n', ip('udp', source, destination, Buffer.alloc(16), {fragment: {id: 5, offset: 16, more: false}}));
		cross('<a@n >b@n', ip('udp', source, destination, udp(1, 2, 'x'.repeat(8)), {fragment: {id: 5, offset: 0, more: true}}));
		cross('<a@n >b@n', ip('udp', source, destination, Buffer.alloc(16), {fragment: {id: 6, offset: 16, more: false}}));
		const flows = findFlows(frames);
		t.deepEqual(flows.map(({from, there}) => [from.port, there.frames]), [[1, 2], [undefined, 1]], 'of packet 6 no first one was seen');
	}
});

test('fragments whose number comes again belong to the packet that began before them, and each beginning to itself', (t) => {
	const {frames, cross} = recorder();
	for (const port of [1000, 2000]) {
		cross('<a@n >b@n', ip('udp', client, server, udp(port, 2, 'x'.repeat(8)), {fragment: {id: 7, offset: 0, more: true}}));
		cross('<a@n >b@n', ip('udp', client, server, Buffer.alloc(16), {fragment: {id: 7, offset: 16, more: false}}));
	}

	t.deepEqual(findFlows(frames).map(({from, there}) => [from.port, there.frames]), [[1000, 2], [2000, 2]]);
});

test('a ping in fragments is one flow', (t) => {
	const {frames, cross} = recorder();
	cross('<a@n >b@n', ip('icmp', client, server, icmp(8, 0, 7), {fragment: {id: 5, offset: 0, more: true}}));
	cross('<a@n >b@n', ip('icmp', client, server, Buffer.alloc(16), {fragment: {id: 5, offset: 8, more: false}}));
	cross('<b@n >a@n', ip('icmp', server, client, Buffer.alloc(16), {fragment: {id: 9, offset: 8, more: false}}));
	cross('<b@n >a@n', ip('icmp', server, client, icmp(0, 0, 7), {fragment: {id: 9, offset: 0, more: true}}));
	t.deepEqual(findFlows(frames).map(({there, back, isAnswered}) => [there.frames, back.frames, isAnswered]), [[2, 2, true]]);
});

test('a ping and its replies are a flow, each ping its own; VLAN tags do not matter, and ARP is none', (t) => {
	const {frames, cross} = recorder();
	cross('<a@n >b@n', arp(1, '192.168.1.1', '192.168.1.2'));
	cross('<a@n >b@n', ip('icmp', '192.168.1.1', '192.168.1.2', icmp(8, 0, 7), {tags: [12]}));
	cross('<b@n >a@n', ip('icmp', '192.168.1.2', '192.168.1.1', icmp(0, 0, 7), {tags: [12]}));
	cross('<a@n >b@n', ip('icmp', '192.168.1.1', '192.168.1.2', icmp(8, 0, 8)));
	t.deepEqual(findFlows(frames).map(({protocol, isAnswered}) => [protocol, isAnswered]), [['icmp', true], ['icmp', false]]);
});

test('frames that were dropped did not go on, and say why', (t) => {
	const {frames, cross} = recorder();
	cross('<a@n >b@n', ask({flags: 'S', sequence: 1}), 'the queue is full');
	cross('<a@n >b@n', ask({flags: 'S', sequence: 1}));
	const [flow] = findFlows(frames);
	t.like(flow, {there: {frames: 2, retransmissions: 1}});
	t.like(flow?.crossings[1], {link: 'b@n', frames: 1, retransmissions: 0, dropped: {'the queue is full': 1}});
	t.is(describeFlow(flow!).at(-1), '  there to b@n: 192.168.2.221:40000 -> 10.0.0.2:80, 1, 1 dropped: the queue is full');
	const lost = recorder();
	lost.cross('<a@n >b@n', ask({flags: 'S', sequence: 1}));
	lost.cross('<b@n >a@n', answer({flags: 'S.', sequence: 9, acknowledgment: 2}), 'nobody is connected');
	t.is(findFlows(lost.frames)[0]?.back.frames, 1, 'the answer was sent ...');
	lost.frames.splice(2, 1);
	t.false(findFlows(lost.frames)[0]!.isAnswered, '... and one that never was carried is none');
});

test('queries that nothing can match are refused as filters are', (t) => {
	t.throws(() => selectFlows([], {port: 70_000}), {code: 'bad-value'});
	t.throws(() => selectFlows([], {address: 'nowhere'}), {code: 'bad-value'});
	t.throws(() => selectFlows([], {destination: '10.0.0.0/24'}), {code: 'bad-value'});
	t.throws(() => selectFlows([], {destination: '1000::/64'}), {code: 'bad-value'});
	t.throws(() => selectFlows([], {protocol: 'icmp', port: 1}), {code: 'usage'});
});
