import test from 'ava';
import {decodeFrame, type Frame} from '../../lab/fabric/frame.ts';
import {mac} from './ethernet-frame.ts';
import {arp, ethernet, icmp, ip, tcp, udp} from './packets.ts';

/** Decoded from the middle of a buffer, as frames are. */
function decode(frame: Buffer): Frame | undefined {
	const buffer = Buffer.concat([Buffer.alloc(7, 0xee), frame, Buffer.alloc(9, 0xee)]);
	return decodeFrame(buffer, 7, 7 + frame.length);
}

test('a TCP segment over IPv4', (t) => {
	t.deepEqual(decode(ip('tcp', '192.168.1.2', '10.0.0.2', tcp(40_000, 80, {flags: 'S.', sequence: 0xffff_fff0, acknowledgment: 7, data: 'four'}))), {
		source: mac(1), destination: mac(2), vlans: [], etherType: 0x0800,
		packet: {
			family: 'ipv4', source: '192.168.1.2', destination: '10.0.0.2', protocol: 6, length: 44, ports: {source: 40_000, destination: 80},
			tcp: {sequence: 0xffff_fff0, acknowledgment: 7, syn: true, ack: true, fin: false, rst: false, data: 4},
		},
	});
});

test('options of IPv4 are passed over, and padding is no data', (t) => {
	const frame = Buffer.concat([ip('tcp', '192.168.1.2', '10.0.0.2', tcp(1, 2, {flags: 'F.'}), {options: 3}), Buffer.alloc(20)]);
	t.like(decode(frame)?.packet, {ports: {source: 1, destination: 2}, tcp: {fin: true, syn: false, data: 0}});
});

test('a UDP datagram over IPv6, with its addresses as people write them', (t) => {
	t.like(decode(ip('udp', '1000::1:c0a8:101', '::1', udp(5353, 53, 'question'))), {
		etherType: 0x86dd, packet: {family: 'ipv6', source: '1000::1:c0a8:101', destination: '::1', protocol: 17, length: 56, ports: {source: 5353, destination: 53}},
	});
});

test('extension headers of IPv6 are passed over', (t) => {
	const long = [1, ...Array.from({length: 14}, () => 0)];
	const short = [0, 0, 0, 0, 0, 0, 0];
	// RFC 4302: three words behind the first two.
	const authentication = [1, ...Array.from({length: 10}, () => 0)];
	const frame = ip('tcp', '1000::1', '1000::2', tcp(1, 2, {data: 'abc'}), {extensions: [[0, short], [60, long], [51, authentication], [43, short]]});
	t.like(decode(frame)?.packet, {protocol: 6, ports: {source: 1, destination: 2}, tcp: {data: 3}});
});

test('behind VLAN tags a frame is what it carries', (t) => {
	t.like(decode(ip('udp', '192.168.1.2', '10.0.0.2', udp(1, 2), {tags: [7]})), {vlans: [7], etherType: 0x0800, packet: {ports: {source: 1}}});
	// The upper bits of a tag are its priority.
	t.like(decode(ip('udp', '1000::1', '1000::2', udp(1, 2), {tags: [7, 0xe008]})), {vlans: [7, 8], etherType: 0x86dd, packet: {ports: {source: 1}}});
});

test('only the first fragment has ports, in both families', (t) => {
	for (const [source, destination] of [['192.168.1.2', '10.0.0.2'], ['1000::1', '1000::2']] as const) {
		const first = decode(ip('udp', source, destination, udp(1, 2, 'x'.repeat(16)), {fragment: {id: 99, offset: 0, more: true}}))?.packet;
		t.like(first, {protocol: 17, fragment: {id: 99, offset: 0, more: true}, ports: {source: 1, destination: 2}});
		const last = decode(ip('udp', source, destination, Buffer.from('0000000000000000'), {fragment: {id: 99, offset: 1480, more: false}}))?.packet;
		t.deepEqual(last?.fragment, {id: 99, offset: 1480, more: false});
		t.is(last?.protocol, 17);
		t.is(last?.ports, undefined);
	}
});

test('ICMP has a type, and an echo an id', (t) => {
	t.deepEqual(decode(ip('icmp', '192.168.1.2', '10.0.0.2', icmp(8, 0, 77)))?.packet?.icmp, {type: 8, code: 0, id: 77});
	t.deepEqual(decode(ip('icmpv6', '1000::1', '1000::2', icmp(129, 0, 77)))?.packet?.icmp, {type: 129, code: 0, id: 77});
	t.deepEqual(decode(ip('icmp', '192.168.1.2', '10.0.0.2', icmp(3, 4, 77)))?.packet?.icmp, {type: 3, code: 4});
});

test('ARP says who asks for whom', (t) => {
	t.deepEqual(decode(arp(1, '192.168.1.2', '192.168.1.1'))?.arp, {operation: 1, sender: '192.168.1.2', target: '192.168.1.1'});
});

test('a frame that is cut anywhere is decoded as far as it goes, and not beyond', (t) => {
	const frames = [
		ip('tcp', '192.168.1.2', '10.0.0.2', tcp(1, 2, {flags: 'S', data: 'data'}), {tags: [7, 8], options: 2}),
		ip('udp', '1000::1', '1000::2', udp(1, 2, 'data'), {extensions: [[0, [1, ...Array.from({length: 14}, () => 0)]]], fragment: {id: 1, offset: 0, more: true}}),
		ip('icmpv6', '1000::1', '1000::2', icmp(128, 0, 77)),
		arp(2, '192.168.1.2', '192.168.1.1'),
	];
	for (const frame of frames) {
		const whole = decode(frame);
		for (let length = 0; length < frame.length; length++) {
			const cut = decode(frame.subarray(0, length));
			t.is(cut === undefined, length < 14 + (whole?.vlans.length ?? 0) * 4, `${length} bytes`);
			t.true(cut?.packet?.ports === undefined || cut.packet.ports.destination === 2);
			t.true(cut?.packet?.protocol === undefined || cut.packet.protocol === whole?.packet?.protocol);
		}
	}
});

test('bytes that are no packet of their type are told as none', (t) => {
	t.is(decode(ethernet(0x0800, Buffer.alloc(40, 0x60)))?.packet, undefined, 'version 6');
	t.is(decode(ethernet(0x0800, Buffer.from(`44${'00'.repeat(40)}`, 'hex')))?.packet, undefined, 'a header of 16 bytes');
	t.is(decode(ethernet(0x86dd, Buffer.alloc(60, 0x45)))?.packet, undefined);
	t.is(decode(ethernet(0x0806, Buffer.alloc(40)))?.arp, undefined);
});
