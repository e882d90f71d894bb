import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {openCaptures} from '../../lab/fabric/capture.ts';
import {readCapture} from '../../lab/fabric/capture-stream.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {capinfosOf, fieldsOf} from '../rig/wireshark.ts';
import {icmp, ip, tcp, udp} from './packets.ts';

/** A capture as a file: what was recorded on two links. */
async function withCaptureFile(use: (file: string, began: number) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const captures = openCaptures(folder, ['node-1@cluster', 'router-1@cluster']);
		const began = Date.now();
		const record = (link: number, direction: 'from' | 'to', frame: Buffer, reason?: string): void => {
			captures.record(link, direction, performance.now(), frame, 0, frame.length, reason);
		};

		record(0, 'from', ip('tcp', '192.168.1.1', '10.0.0.2', tcp(40_000, 80, {flags: 'S', sequence: 7})));
		record(1, 'to', ip('tcp', '192.168.1.1', '10.0.0.2', tcp(40_000, 80, {flags: 'S', sequence: 7})), 'the queue is full');
		record(0, 'from', ip('udp', '1000::1', '1000::2', udp(5000, 9999, 'x'.repeat(1000)), {extensions: [[60, [0, 1, 4, 0, 0, 0, 0]]]}));
		record(0, 'from', ip('icmpv6', '1000::1', '1000::2', icmp(128, 0, 77), {tags: [7]}));
		const file = path.join(folder, 'frames.pcapng');
		await writeFile(file, await readCapture(path.join(folder, await captures.open({recorded: {}}))));
		await captures.close();
		await use(file, began);
	});
}

test('Wireshark reads a capture: links, directions, times, lengths, and why a frame was dropped', async (t) => {
	await withCaptureFile(async (file, began) => {
		const frames = await fieldsOf(file, ['frame.interface_name', 'frame.packet_flags_direction', 'frame.len', 'frame.cap_len', 'frame.comment', 'frame.time_epoch']);
		t.deepEqual(frames.map((fields) => fields.slice(0, 5)), [
			['node-1@cluster', '0x00000001', '54', '54', ''],
			['router-1@cluster', '0x00000002', '54', '54', 'dropped: the queue is full'],
			['node-1@cluster', '0x00000001', '1070', '256', ''],
			['node-1@cluster', '0x00000001', '66', '66', ''],
		]);
		for (const [, , , , , time] of frames) {
			t.true(Math.abs(Number(time) * 1000 - began) < 60_000, time);
		}
	});
});

test('Wireshark sees in the frames what we see', async (t) => {
	await withCaptureFile(async (file) => {
		t.deepEqual(await fieldsOf(file, ['ip.src', 'tcp.dstport', 'tcp.seq_raw', 'tcp.flags.syn'], 'frame.interface_name == "node-1@cluster" && tcp'), [['192.168.1.1', '80', '7', '1']]);
		t.deepEqual(await fieldsOf(file, ['ipv6.dst', 'udp.dstport'], 'udp'), [['1000::2', '9999']]);
		t.deepEqual(await fieldsOf(file, ['vlan.id', 'icmpv6.type', 'icmpv6.echo.identifier'], 'vlan'), [['7', '128', '0x004d']]);
	});
});

test('capinfos finds nothing wrong', async (t) => {
	await withCaptureFile(async (file) => {
		const text = await capinfosOf(file);
		t.regex(text, /File type:\s+Wireshark\/\.\.\. - pcapng/);
		t.regex(text, /Number of packets:\s+4/);
		t.regex(text, /Number of interfaces in file:\s+2/);
		t.regex(text, /Interface #0 info:\n\s+Name = node-1@cluster[^]*Encapsulation = Ethernet[^]*Capture length = 256[^]*Number of stat entries = 1/);
		t.regex(text, /Capture application:\s+vmlab/);
	});
});
