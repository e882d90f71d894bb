/** What a network has carried: frames by what is in them, and the first one of a family that it does not carry. */
import {Address4, Address6} from 'ip-address';
import type {Family} from '../spec/family.ts';
import {etherTypeAt, etherTypes, payloadAt} from './frame.ts';

/** What is in a frame, by its EtherType (IEEE 802; RFC 894, RFC 826, RFC 2464). */
export type Payload = 'ipv4' | 'arp' | 'ipv6' | 'other';

/** A frame of a family that its network does not carry. */
export interface ForeignFrame {
	readonly payload: Payload;
	/** The machine that sent it. */
	readonly machine: string;
	/** Milliseconds since 1970, by the host's clock. */
	readonly at: number;
	/** 'ARP: who has 192.168.1.1, asks 192.168.1.2' */
	readonly summary: string;
	/** Its first bytes, in hexadecimal. */
	readonly bytes: string;
}

/** What one network has carried since its lab was booted; a fork goes on with the counts of what it was forked from. */
export interface NetworkTraffic {
	readonly network: string;
	/** Frames that machines sent, each once, wherever it went. */
	readonly frames: Readonly<Record<Payload, number>>;
	/** The first frame that does not belong there. */
	readonly foreign?: ForeignFrame;
}

/** Counts the frames of one network. */
export interface TrafficCounter {
	/** @param buffer holds the frame from `start` to `end` @param machine who sent it */
	count(buffer: Buffer, start: number, end: number, machine: string): void;
	report(): NetworkTraffic;
}

/** The family that a payload belongs to. */
const familyOf: Readonly<Record<Payload, Family | undefined>> = {ipv4: 'ipv4', arp: 'ipv4', ipv6: 'ipv6', other: undefined};
/** Bytes of a foreign frame that are kept. */
const keptBytes = 128;

function payloadOf(etherType: number): Payload {
	switch (etherType) {
		case etherTypes.ipv4: {
			return 'ipv4';
		}

		case etherTypes.ipv6: {
			return 'ipv6';
		}

		case etherTypes.arp: {
			return 'arp';
		}

		default: {
			return 'other';
		}
	}
}

/**
 * A counter for a network.
 *
 * @param families those that the network carries; of others the first frame is kept
 * @param known where it goes on from
 */
export function trafficCounter(network: string, families: readonly Family[], known?: NetworkTraffic): TrafficCounter {
	const frames: Record<Payload, number> = {ipv4: 0, arp: 0, ipv6: 0, other: 0, ...known?.frames};
	let foreign = known?.foreign;
	return {
		count(buffer, start, end, machine) {
			const at = payloadAt(buffer, start, end);
			// A frame that ends before its type has none.
			const payload = payloadOf(etherTypeAt(buffer, at));
			frames[payload] += 1;
			const family = familyOf[payload];
			if (foreign === undefined && family !== undefined && !families.includes(family)) {
				foreign = {
					payload, machine, at: Date.now(), summary: describe(payload, buffer.subarray(at, end)),
					bytes: buffer.toString('hex', start, Math.min(end, start + keptBytes)),
				};
			}
		},
		report: () => ({network, frames: {...frames}, ...(foreign !== undefined && {foreign})}),
	};
}

function describe(payload: Payload, bytes: Buffer): string {
	const v4 = (at: number): string => Address4.fromByteArray([...bytes.subarray(at, at + 4)]).correctForm();
	const v6 = (at: number): string => Address6.fromByteArray([...bytes.subarray(at, at + 16)]).correctForm();
	// RFC 826 for Ethernet and IPv4, RFC 791, RFC 8200.
	if (payload === 'arp' && bytes.length >= 28) {
		return bytes.readUInt16BE(6) === 1 ? `ARP: who has ${v4(24)}, asks ${v4(14)}` : `ARP: ${v4(14)} answers ${v4(24)}`;
	}

	if (payload === 'ipv4' && bytes.length >= 20) {
		return `IPv4: ${v4(12)} to ${v4(16)}, protocol ${bytes[9]}`;
	}

	return payload === 'ipv6' && bytes.length >= 40 ? `IPv6: ${v6(8)} to ${v6(24)}, next header ${bytes[6]}` : `${payload}, cut short`;
}
