/** Frames of real protocols for tests, written by hand. Checksums are left out: nothing that is tested looks at them. */
import {Address4, Address6} from 'ip-address';
import {mac} from './ethernet-frame.ts';

const protocols = {icmp: 1, tcp: 6, udp: 17, icmpv6: 58};

/** A frame around a payload: tags are the numbers of VLANs. */
export function ethernet(etherType: number, payload: Uint8Array, {from = mac(1), to = mac(2), tags = []}: {from?: string; to?: string; tags?: readonly number[]} = {}): Buffer {
	const head = Buffer.alloc(12 + tags.length * 4 + 2);
	head.write(to.replaceAll(':', ''), 0, 'hex');
	head.write(from.replaceAll(':', ''), 6, 'hex');
	for (const [index, tag] of tags.entries()) {
		head.writeUInt16BE(index === 0 && tags.length > 1 ? 0x88a8 : 0x8100, 12 + index * 4);
		head.writeUInt16BE(tag, 14 + index * 4);
	}

	head.writeUInt16BE(etherType, head.length - 2);
	return Buffer.concat([head, payload]);
}

interface IpOptions {
	readonly tags?: readonly number[];
	readonly from?: string;
	readonly to?: string;
	/** Of IPv4: in words of four bytes. */
	readonly options?: number;
	readonly fragment?: {readonly id: number; readonly offset: number; readonly more: boolean};
	/** Of IPv6: extension headers before what is carried, each its number and its bytes without the first one. */
	readonly extensions?: ReadonlyArray<readonly [number: number, rest: readonly number[]]>;
}

/** An IP packet in a frame, of the family that its addresses have. */
export function ip(protocol: keyof typeof protocols, source: string, destination: string, payload: Uint8Array, options: IpOptions = {}): Buffer {
	const {fragment, extensions = []} = options;
	if (!source.includes(':')) {
		const head = Buffer.alloc(20 + (options.options ?? 0) * 4);
		head.writeUInt8(0x40 | (head.length / 4), 0);
		head.writeUInt16BE(head.length + payload.length, 2);
		head.writeUInt16BE(fragment?.id ?? 0, 4);
		head.writeUInt16BE(fragment === undefined ? 0x4000 : (fragment.more ? 0x2000 : 0) | (fragment.offset / 8), 6);
		head.writeUInt8(64, 8);
		head.writeUInt8(protocols[protocol], 9);
		head.set(new Address4(source).toArray(), 12);
		head.set(new Address4(destination).toArray(), 16);
		return ethernet(0x0800, Buffer.concat([head, payload]), options);
	}

	const chain: Array<readonly [number, readonly number[]]> = [...extensions];
	if (fragment !== undefined) {
		const rest = Buffer.alloc(7);
		rest.writeUInt16BE(fragment.offset | (fragment.more ? 1 : 0), 1);
		rest.writeUInt32BE(fragment.id, 3);
		chain.push([44, [...rest]]);
	}

	const headers = chain.map(([, rest], index) => Buffer.from([chain[index + 1]?.[0] ?? protocols[protocol], ...rest]));
	const body = Buffer.concat([...headers, payload]);
	const head = Buffer.alloc(40);
	head.writeUInt8(0x60, 0);
	head.writeUInt16BE(body.length, 4);
	head.writeUInt8(chain[0]?.[0] ?? protocols[protocol], 6);
	head.writeUInt8(64, 7);
	for (const [at, address] of [[8, source], [24, destination]] as const) {
		// The package leaves zeros at the beginning out, or puts one more there.
		const bytes = new Address6(address).toUnsignedByteArray().slice(-16);
		head.set(bytes, at + 16 - bytes.length);
	}

	return ethernet(0x86dd, Buffer.concat([head, body]), options);
}

/** What is above IP in a TCP segment. Flags are letters as tcpdump(8) has them: S, F, R, P, and `.` for ACK. */
export function tcp(sourcePort: number, destinationPort: number, {flags = '.', sequence = 0, acknowledgment = 0, data = ''}: {flags?: string; sequence?: number; acknowledgment?: number; data?: string} = {}): Buffer {
	const head = Buffer.alloc(20);
	head.writeUInt16BE(sourcePort, 0);
	head.writeUInt16BE(destinationPort, 2);
	head.writeUInt32BE(sequence, 4);
	head.writeUInt32BE(acknowledgment, 8);
	head.writeUInt8(0x50, 12);
	head.writeUInt8([...flags].reduce((sum, flag) => sum | {F: 1, S: 2, R: 4, P: 8, '.': 16}[flag]!, 0), 13);
	head.writeUInt16BE(1024, 14);
	return Buffer.concat([head, Buffer.from(data)]);
}

/** What is above IP in a UDP datagram. */
export function udp(sourcePort: number, destinationPort: number, data = ''): Buffer {
	const head = Buffer.alloc(8);
	head.writeUInt16BE(sourcePort, 0);
	head.writeUInt16BE(destinationPort, 2);
	head.writeUInt16BE(8 + data.length, 4);
	return Buffer.concat([head, Buffer.from(data)]);
}

/** An ICMP message, of either family. */
export function icmp(type: number, code = 0, id = 0, sequence = 1): Buffer {
	const head = Buffer.alloc(8);
	head.writeUInt8(type, 0);
	head.writeUInt8(code, 1);
	head.writeUInt16BE(id, 4);
	head.writeUInt16BE(sequence, 6);
	return head;
}

/** An ARP message in a frame. */
export function arp(operation: 1 | 2, sender: string, target: string): Buffer {
	const message = Buffer.alloc(28);
	message.writeUInt16BE(1, 0);
	message.writeUInt16BE(0x0800, 2);
	message.writeUInt16BE(0x0604, 4);
	message.writeUInt16BE(operation, 6);
	message.set(new Address4(sender).toArray(), 14);
	message.set(new Address4(target).toArray(), 24);
	return ethernet(0x0806, message);
}
