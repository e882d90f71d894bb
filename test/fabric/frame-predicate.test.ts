import test from 'ava';
import {framePredicate} from '../../lab/fabric/frame-predicate.ts';
import {decodeFrame} from '../../lab/fabric/frame.ts';
import {type FrameMatch, matchKeys} from '../../lab/spec/frame-match.ts';

const [destination, source] = ['020000000002', '020000000001'];
const v4 = (protocol: string, payload: string, fragment = '0000', options = ''): string =>
	`${destination}${source}0800${(0x45 + options.length / 8).toString(16)}000028${'0001'}${fragment}40${protocol}0000c0a80101c0a80102${options}${payload}`;
const v6 = (next: string, payload: string): string => `${destination}${source}86dd600000000020${next}40${'10'.repeat(16)}${'20'.repeat(16)}${payload}`;
const tagged = (frame: string, tags: string): string => frame.slice(0, 24) + tags + frame.slice(24);
/** From port 40000 to 443, and some more. */
const ports = '9c4001bb00000000';
const fragmented = (next: string, offset: string, payload: string): string => `${next}00${offset}00000001${payload}`;

const frames = {
	arp: `${destination}${source}0806${'0001080006040001'}${source}c0a80102${'000000000000'}c0a80101`,
	tcp4: v4('06', ports), udp4: v4('11', ports), icmp: v4('01', '0800000000000000'), sctp4: v4('84', ports),
	options4: v4('06', ports, '0000', '01010101'),
	dontFragment4: v4('06', ports, '4000'),
	firstFragment4: v4('11', ports, '2000'), laterFragment4: v4('11', ports, '0010'),
	tcp6: v6('06', ports), udp6: v6('11', ports), icmp6: v6('3a', '8000000000000000'),
	// Hop-by-hop options, then destination options of 16 bytes, then TCP.
	extended6: v6('00', `3c00000000000000${'0601000000000000'}${'00'.repeat(8)}${ports}`),
	// An authentication header of 24 bytes.
	authenticated6: v6('33', `0604${'00'.repeat(22)}${ports}`),
	firstFragment6: v6('2c', fragmented('11', '0001', ports)), laterFragment6: v6('2c', fragmented('11', '0010', ports)),
	// RFC 6946: a fragment that is the whole.
	atomicFragment6: v6('2c', fragmented('11', '0000', ports)),
	tagged4: tagged(v4('06', ports), '81000007'), tagged6: tagged(v6('06', ports), '88a8000781000008'),
	other: `${destination}${source}88b50000`,
} as const;

type Name = keyof typeof frames;

function meant(match: FrameMatch): Name[] {
	const predicate = framePredicate(match)!;
	return (Object.keys(frames) as Name[]).filter((name) => {
		// Within a buffer that has more before and behind it.
		const buffer = Buffer.from(`ffffffff${frames[name]}${ports}`, 'hex');
		return predicate(buffer, 4, buffer.length - 8);
	});
}

const tcp: Name[] = ['tcp4', 'options4', 'dontFragment4', 'tcp6', 'extended6', 'authenticated6', 'tagged4', 'tagged6'];

test('a family is what the frame carries, ARP is of none, and tags are looked behind', (t) => {
	t.deepEqual(meant({family: 'ipv6'}), ['tcp6', 'udp6', 'icmp6', 'extended6', 'authenticated6', 'firstFragment6', 'laterFragment6', 'atomicFragment6', 'tagged6']);
	t.deepEqual(meant({family: 'ipv4'}), ['tcp4', 'udp4', 'icmp', 'sctp4', 'options4', 'dontFragment4', 'firstFragment4', 'laterFragment4', 'tagged4']);
});

test('a protocol is found behind options and extension headers, and fragments have one', (t) => {
	t.deepEqual(meant({protocol: 'tcp'}), tcp);
	t.deepEqual(meant({protocol: 'udp'}), ['udp4', 'firstFragment4', 'laterFragment4', 'udp6', 'firstFragment6', 'laterFragment6', 'atomicFragment6']);
	t.deepEqual(meant({protocol: 'icmp'}), ['icmp']);
	t.deepEqual(meant({protocol: 'icmpv6'}), ['icmp6']);
	t.deepEqual(meant({protocol: 'sctp'}), ['sctp4']);
	t.deepEqual(meant({protocol: 'arp'}), ['arp']);
	t.deepEqual(meant({protocol: 'tcp', family: 'ipv6'}), ['tcp6', 'extended6', 'authenticated6', 'tagged6']);
});

test('a port is on the side that is said, and of fragments the first one has it', (t) => {
	const withPorts: Name[] = ['tcp4', 'udp4', 'sctp4', 'options4', 'dontFragment4', 'firstFragment4', 'tcp6', 'udp6', 'extended6', 'authenticated6', 'firstFragment6', 'atomicFragment6', 'tagged4', 'tagged6'];
	t.deepEqual(meant({port: 443}), withPorts);
	t.deepEqual(meant({port: 40_000}), withPorts);
	t.deepEqual(meant({destinationPort: 443}), withPorts);
	t.deepEqual(meant({sourcePort: 40_000, destinationPort: 443}), withPorts);
	t.deepEqual(meant({sourcePort: 443}), []);
	t.deepEqual(meant({port: 80}), []);
	t.deepEqual(meant({protocol: 'udp', port: 443}), ['udp4', 'firstFragment4', 'udp6', 'firstFragment6', 'atomicFragment6']);
	// What is there in an ICMP message would be that port.
	t.deepEqual(meant({port: 0x0800}), []);
});

test('an address is on the side that is said, in either case', (t) => {
	const all = Object.keys(frames);
	t.deepEqual(meant({mac: '02:00:00:00:00:01'}), all as Name[]);
	t.deepEqual(meant({mac: '02:00:00:00:00:02'}), all as Name[]);
	t.deepEqual(meant({sourceMac: '02:00:00:00:00:01', destinationMac: '02:00:00:00:00:02'}), all as Name[]);
	t.deepEqual(meant({sourceMac: '02:00:00:00:00:02'}), []);
	t.deepEqual(meant({destinationMac: '02:00:00:00:00:01'}), []);
	t.deepEqual(meant({mac: '02:00:00:00:00:03'}), []);
	t.deepEqual(meant({mac: '02:00:00:00:00:01', protocol: 'icmp'}), ['icmp']);
	t.true(framePredicate({mac: '02:00:00:00:00:AB'})!(Buffer.from(`${destination}0200000000ab0800`, 'hex'), 0, 14));
});

test('an address is that of a packet, with all its fragments, or of an ARP message', (t) => {
	const [ones, twos] = [`1010${':1010'.repeat(7)}`, `2020${':2020'.repeat(7)}`];
	const v4Frames = (Object.keys(frames) as Name[]).filter((name) => name.endsWith('4') || name === 'icmp');
	const v6Frames = (Object.keys(frames) as Name[]).filter((name) => name.endsWith('6'));
	t.deepEqual(meant({source: '192.168.1.1'}), v4Frames);
	t.deepEqual(meant({destination: '192.168.1.2', family: 'ipv4'}), v4Frames);
	t.deepEqual(meant({address: '192.168.1.2'}), ['arp', ...v4Frames]);
	t.deepEqual(meant({source: '192.168.1.2'}), ['arp']);
	t.deepEqual(meant({destination: '192.168.1.1', protocol: 'arp'}), ['arp']);
	t.deepEqual(meant({address: ones}), v6Frames);
	t.deepEqual(meant({source: ones, destination: twos}), v6Frames);
	t.deepEqual(meant({source: twos}), []);
	t.throws(() => meant({source: ones, destination: '192.168.1.2'}), {code: 'usage'});
	t.deepEqual(meant({address: twos, protocol: 'udp', port: 443}), ['udp6', 'firstFragment6', 'atomicFragment6']);
});

test('a VLAN is the one of the outermost tag of 802.1Q', (t) => {
	t.deepEqual(meant({vlan: 7}), ['tagged4']);
	t.deepEqual(meant({vlan: 8}), []);
	t.deepEqual(meant({vlan: 7, protocol: 'tcp', sourceMac: '02:00:00:00:00:01'}), ['tagged4']);
	t.deepEqual(meant({vlan: 7, family: 'ipv6'}), []);
	t.throws(() => framePredicate({vlan: 0}), {code: 'bad-value'});
	t.throws(() => framePredicate({vlan: 4095}), {code: 'bad-value'});
});

/** Whether a frame is meant, by what it is decoded to. */
function isMeant(match: FrameMatch, buffer: Buffer, start: number, end: number): boolean {
	const frame = decodeFrame(buffer, start, end);
	const {packet, arp} = frame ?? {};
	const sides = <Value>(either: Value | undefined, source: Value | undefined, destination: Value | undefined, own: Value | undefined, other: Value | undefined): boolean =>
		(either === undefined || either === own || either === other) && (source === undefined || source === own) && (destination === undefined || destination === other);
	const macAt = (at: number): string => buffer.toString('hex', at, at + 6).replaceAll(/(..)(?!$)/g, '$1:');
	// The addresses are there where the tags behind them have no end, too.
	return end - start >= 14
		&& (match.family === undefined || frame?.etherType === (match.family === 'ipv4' ? 0x0800 : 0x86dd))
		&& (match.protocol === undefined || (match.protocol === 'arp' ? frame?.etherType === 0x0806 : packet?.protocol === {icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132}[match.protocol]
			&& (match.protocol !== 'icmp' || packet.family === 'ipv4') && (match.protocol !== 'icmpv6' || packet.family === 'ipv6')))
		&& sides(match.port, match.sourcePort, match.destinationPort, packet?.ports?.source, packet?.ports?.destination)
		&& sides(match.address, match.source, match.destination, packet?.source ?? arp?.sender, packet?.destination ?? arp?.target)
		&& (match.vlan === undefined || (end - start >= 18 && buffer.readUInt16BE(start + 12) === 0x8100 && (buffer.readUInt16BE(start + 14) & 0xfff) === match.vlan))
		&& sides(match.mac, match.sourceMac, match.destinationMac, macAt(start + 6), macAt(start));
}

test('the bytes of a frame are taken as what it is decoded to, whole, cut short or with any byte changed', (t) => {
	const values: {readonly [Key in keyof FrameMatch]-?: ReadonlyArray<NonNullable<FrameMatch[Key]>>} = {
		family: ['ipv4', 'ipv6'], protocol: ['arp', 'icmp', 'icmpv6', 'tcp', 'udp', 'sctp'], port: [443], sourcePort: [40_000], destinationPort: [443, 0],
		address: ['192.168.1.2', `2020${':2020'.repeat(7)}`], source: ['192.168.1.1'], destination: [`2020${':2020'.repeat(7)}`],
		mac: ['02:00:00:00:00:01'], sourceMac: ['02:00:00:00:00:01'], destinationMac: ['02:00:00:00:00:02'], vlan: [7],
	};
	const matches: FrameMatch[] = matchKeys.flatMap((key) => values[key].map((value) => ({[key]: value})));
	matches.push({family: 'ipv6', protocol: 'udp', destinationPort: 443}, {protocol: 'tcp', address: '192.168.1.2'});
	let meantOnes = 0;
	for (const match of matches) {
		const predicate = framePredicate(match)!;
		for (const [name, hex] of Object.entries(frames)) {
			const whole = Buffer.from(hex, 'hex');
			for (let place = 0; place <= whole.length; place++) {
				const changed = Buffer.from(whole);
				changed[place] = (changed[place] ?? 0) ^ (1 << (place % 8));
				for (const [buffer, end] of [[whole, place], [changed, whole.length]] as const) {
					const expected = isMeant(match, buffer, 0, end);
					meantOnes += expected ? 1 : 0;
					if (predicate(buffer, 0, end) !== expected) {
						t.fail(`${JSON.stringify(match)} ${name}: ${buffer.toString('hex', 0, end)}`);
					}
				}
			}
		}
	}

	t.true(meantOnes > 1000);
});

test('a match without anything in it is none', (t) => {
	t.is(framePredicate({}), undefined);
	t.is(framePredicate(undefined), undefined);
});

test('frames that are cut short anywhere are of nobody\'s port, and harm nobody', (t) => {
	const matches: FrameMatch[] = [{port: 443}, {protocol: 'tcp', port: 443}, {protocol: 'icmpv6'}, {family: 'ipv6', protocol: 'udp'}, {mac: '02:00:00:00:00:01'}, {protocol: 'arp'}];
	for (const match of matches) {
		const predicate = framePredicate(match)!;
		for (const hex of Object.values(frames)) {
			const whole = Buffer.from(hex, 'hex');
			for (let length = 0; length < whole.length; length++) {
				t.notThrows(() => predicate(whole.subarray(0, length), 0, length));
			}
		}
	}

	const whole = Buffer.from(frames.tcp6, 'hex');
	t.false(framePredicate({port: 443})!(whole, 0, 14 + 40 + 3));
	t.true(framePredicate({port: 443})!(whole, 0, 14 + 40 + 4));
});

test('extension headers without an end come to one', (t) => {
	// Each names another of its kind; the last says that it goes on beyond the frame.
	t.false(framePredicate({protocol: 'tcp'})!(Buffer.from(v6('3c', `${'3c00000000000000'.repeat(100)}3cff`), 'hex'), 0, 14 + 40 + 802));
});
