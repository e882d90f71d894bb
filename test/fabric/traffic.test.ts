import test from 'ava';
import type {Family} from '../../lab/spec/family.ts';
import {type NetworkTraffic, type Payload, trafficCounter} from '../../lab/fabric/traffic.ts';

const addresses = '020000000001' + '020000000002';
/** Frames as hexadecimal text, by what is in them. */
const frames: Readonly<Record<Payload, string>> = {
	arp: `${addresses}0806${'0001080006040001'}${'020000000002'}c0a80102${'000000000000'}c0a80101`,
	ipv4: `${addresses}0800${'4500001400000000400100000a00000201020304'}`,
	ipv6: `${addresses}86dd${'6000000000003aff'}${'10000000000000000000000000000001'}${'10000000000000000000000000000002'}`,
	other: `${addresses}88b5`,
};

function carry(families: readonly Family[], hex: readonly string[], known?: NetworkTraffic): NetworkTraffic {
	const counter = trafficCounter('cluster', families, known);
	for (const frame of hex) {
		const buffer = Buffer.from(frame, 'hex');
		counter.count(buffer, 0, buffer.length, 'node-1');
	}

	return counter.report();
}

test('frames are counted by what is in them', (t) => {
	const {frames: counts, foreign} = carry(['ipv4', 'ipv6'], [frames.arp, frames.ipv4, frames.ipv4, frames.ipv6, frames.other, frames.other, frames.other]);
	t.deepEqual(counts, {arp: 1, ipv4: 2, ipv6: 1, other: 3});
	t.is(foreign, undefined);
});

test('behind a VLAN tag, or two, a frame counts as what it carries', (t) => {
	const tagged = (frame: string, tags: string): string => frame.slice(0, 24) + tags + frame.slice(24);
	t.like(carry(['ipv6'], [tagged(frames.ipv6, '81000007'), tagged(frames.arp, '88a8000781000008')]), {frames: {ipv6: 1, arp: 1}, foreign: {payload: 'arp'}});
});

test('the first frame of a family that the network does not carry is kept, in words and bytes', (t) => {
	t.like(carry(['ipv6'], [frames.ipv6, frames.other, frames.arp, frames.ipv4]).foreign, {
		payload: 'arp', machine: 'node-1', summary: 'ARP: who has 192.168.1.1, asks 192.168.1.2', bytes: frames.arp,
	});
	t.is(carry(['ipv6'], [frames.ipv4]).foreign?.summary, 'IPv4: 10.0.0.2 to 1.2.3.4, protocol 1');
	t.is(carry(['ipv4'], [frames.arp, frames.ipv6]).foreign?.summary, 'IPv6: 1000::1 to 1000::2, next header 58');
	t.is(carry(['ipv6'], [frames.other, frames.ipv6]).foreign, undefined);
});

test('frames that are cut short are counted, and harm nobody', (t) => {
	t.like(carry(['ipv6'], ['', addresses, `${addresses}81`, `${addresses}8100`, `${addresses}0800`]), {frames: {other: 4, ipv4: 1}, foreign: {summary: 'ipv4, cut short'}});
});

test('counts go on from what is known, and so does the frame that does not belong there', (t) => {
	const before = carry(['ipv6'], [frames.arp, frames.ipv6]);
	const after = carry(['ipv6'], [frames.ipv6, frames.ipv4], before);
	t.deepEqual(after.frames, {arp: 1, ipv4: 1, ipv6: 2, other: 0});
	t.deepEqual(after.foreign, before.foreign);
});
