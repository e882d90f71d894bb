import test from 'ava';
import {interfaceDescription, interfaceStatistics, packetBlockBytes, packetComment, type PacketHead, sectionHeader, writePacketBlock} from '../../lab/fabric/pcapng.ts';
import {type CapturedFrame, pcapngReader} from '../../lab/fabric/pcapng-reader.ts';

/** 2026-11-21T23:31:45.123456Z, in milliseconds. */
const time = Date.UTC(2026, 10, 21, 23, 31, 45) + 123.456;

function packet(head: PacketHead, bytes: Buffer, start = 0, end = bytes.length): Buffer {
	const target = Buffer.alloc(packetBlockBytes(end - start, head.comment), 0xee);
	return target.subarray(0, writePacketBlock(target, 0, head, bytes, start, end));
}

test('a section header, byte by byte', (t) => {
	t.is(sectionHeader('vmlab').toString('hex'), [
		'0a0d0d0a', '2c000000', // type and length
		'4d3c2b1a', '0100', '0000', 'ffffffffffffffff', // order of bytes, version 1.0, a length that is not known
		'0400', '0500', '766d6c6162000000', // shb_userappl
		'00000000', '2c000000', // end of options, length
	].join(''));
});

test('an interface description, byte by byte', (t) => {
	t.is(interfaceDescription({name: 'node-1@a', snapLength: 256}).toString('hex'), [
		'01000000', '2c000000', '0100', '0000', '00010000', // LINKTYPE_ETHERNET, snap length
		'0200', '0800', '6e6f64652d314061', // if_name
		'0900', '0100', '06000000', // if_tsresol: microseconds
		'00000000', '2c000000',
	].join(''));
});

test('an enhanced packet, byte by byte', (t) => {
	const microseconds = BigInt(Date.UTC(2026, 10, 21, 23, 31, 45)) * 1000n + 123_456n;
	const [high, low] = [Buffer.alloc(4), Buffer.alloc(4)];
	high.writeUInt32LE(Number(microseconds >> 32n));
	low.writeUInt32LE(Number(microseconds & 0xffff_ffffn));
	const block = packet({interface: 3, time, direction: 'to', length: 1514, comment: packetComment('dropped: x')}, Buffer.from('zz0123456zz'), 2, 9);
	t.is(block.toString('hex'), [
		'06000000', '44000000', '03000000', high.toString('hex'), low.toString('hex'), '07000000', 'ea050000', // captured 7 of 1514
		'3031323334353600', // padded
		'0200', '0400', '02000000', // epb_flags: outbound
		'0100', '0a00', '64726f707065643a20780000', // opt_comment
		'00000000', '44000000',
	].join(''));
	t.is(block.length, packetBlockBytes(7, packetComment('dropped: x')));
});

test('the statistics of an interface, byte by byte', (t) => {
	const block = interfaceStatistics({interface: 1, startTime: 1000, endTime: 2000, received: 7, dropped: 3});
	t.is(block.toString('hex'), [
		'05000000', '4c000000', '01000000', '00000000', '80841e00',
		'0200', '0800', '00000000', '40420f00', // isb_starttime: 1 000 000 microseconds
		'0300', '0800', '00000000', '80841e00', // isb_endtime
		'0400', '0800', '0700000000000000', // isb_ifrecv
		'0500', '0800', '0300000000000000', // isb_ifdrop
		'00000000', '4c000000',
	].join(''));
});

test('what is written is read, in whatever pieces it comes', (t) => {
	const [one, two] = [Buffer.from('a frame'), Buffer.from('another one')];
	const capture = Buffer.concat([
		sectionHeader('vmlab'), interfaceDescription({name: 'node-1@cluster', snapLength: 0}), interfaceDescription({name: 'node-2@cluster', snapLength: 0, comment: 'é'}),
		packet({interface: 1, time, direction: 'from', length: 7}, one),
		// A block of a type that is not known.
		Buffer.from('ad0b0000100000000102030410000000', 'hex'),
		packet({interface: 0, time: time + 0.001, direction: 'to', length: 99, comment: packetComment('dropped: the queue is full')}, two),
		interfaceStatistics({interface: 0, startTime: time - 5, endTime: time, received: 2 ** 40, dropped: 1}),
	]);
	for (let size = 1; size <= capture.length; size += size < 20 ? 1 : 97) {
		const names: string[] = [];
		const frames: CapturedFrame[] = [];
		const statistics: object[] = [];
		const memory = Buffer.alloc(size);
		const read = pcapngReader({
			onInterface: (name) => names.push(name),
			onFrame: (frame) => frames.push({...frame, bytes: Buffer.from(frame.bytes)}),
			onStatistics: (each) => statistics.push(each),
		});
		for (let at = 0; at < capture.length; at += size) {
			// The reader of a capture reads each piece into the same memory.
			const length = capture.copy(memory, 0, at, at + size);
			read(memory.subarray(0, length));
			memory.fill(0xee);
		}

		t.deepEqual(names, ['node-1@cluster', 'node-2@cluster']);
		t.deepEqual(frames, [
			{interface: 1, time, direction: 'from', length: 7, bytes: one},
			{interface: 0, time: time + 0.001, direction: 'to', length: 99, bytes: two, comment: 'dropped: the queue is full'},
		]);
		t.deepEqual(statistics, [{interface: 0, startTime: time - 5, endTime: time, received: 2 ** 40, dropped: 1}]);
	}
});

test('what is no capture is refused', (t) => {
	t.throws(() => {
		pcapngReader({})(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
	}, {message: /a block of/});
	const other = sectionHeader('x');
	other.swap32();
	t.throws(() => {
		pcapngReader({})(other);
	});
});
