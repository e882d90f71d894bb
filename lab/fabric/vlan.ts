/** VLAN tags of frames, and which VLANs the ports of a switch have (IEEE 802.1Q, clauses 6.9, 8.6 and 9). */
import type {DropReason} from './counters.ts';
import {addressBytes, tagBytes, tagType} from './frame.ts';
import {headerBytes} from './framing.ts';
import {shortestFrame} from './switch.ts';

/** A VLAN of a trunk. */
export interface Vlan {
	/** The network that it is. */
	readonly network: string;
	/** 1 to 4094. */
	readonly id: number;
}

/** The VLAN that a frame belongs to, or why it belongs to none. */
export type Classification = {readonly vlan: number} | {readonly reason: DropReason};

/** The number in the tag of a frame; 0 where it has only a priority, undefined where it has no tag. */
export function tagOf(buffer: Buffer, start: number, end: number): number | undefined {
	const at = start + addressBytes;
	return end - start >= shortestFrame + tagBytes && buffer.readUInt16BE(at) === tagType ? buffer.readUInt16BE(at + 2) & 0x0fff : undefined;
}

/** A port of a switch that knows VLANs. */
export interface VlanPort {
	/**
	 * Says what VLAN a frame that came in here belongs to. One that a tag gives only a priority counts as one without.
	 *
	 * @param buffer holds the frame from `start` to `end`, without QEMU's header
	 */
	classify(buffer: Buffer, start: number, end: number): Classification;
	/** Is the port in this VLAN? */
	carries(vlan: number): boolean;
	/** Have frames that go out here a tag? */
	readonly tagged: boolean;
}

/** A port of one VLAN, without tags: for machines that need not know that there are VLANs. */
export function accessPort(vlan: number): VlanPort {
	return {
		classify: (buffer, start, end) => ((tagOf(buffer, start, end) ?? 0) === 0 ? {vlan} : {reason: 'tagged'}),
		carries: (other) => other === vlan,
		tagged: false,
	};
}

/** A port of several VLANs, which frames say by their tags. */
export function trunkPort(vlans: ReadonlySet<number>): VlanPort {
	return {
		classify(buffer, start, end) {
			if (end - start < shortestFrame) {
				return {reason: 'runt'};
			}

			const vlan = tagOf(buffer, start, end) ?? 0;
			return vlan === 0 ? {reason: 'untagged'} : vlans.has(vlan) ? {vlan} : {reason: 'other-vlan'};
		},
		carries: (vlan) => vlans.has(vlan),
		tagged: true,
	};
}

/** A frame as it leaves a switch. */
export interface OutgoingFrame {
	readonly buffer: Buffer;
	/** Where it begins, with QEMU's header. */
	readonly start: number;
	readonly end: number;
}

/**
 * A frame of a VLAN as ports send it: `outgoing(true)` with a tag, `outgoing(false)` without. A form that it does not have yet is made once, in a buffer of its own; its
 * priority stays where it has one.
 *
 * @param buffer holds the frame with QEMU's header from `start` to `end`
 */
export function outgoingForms(buffer: Buffer, start: number, end: number, vlan: number): (tagged: boolean) => OutgoingFrame {
	const tag = tagOf(buffer, start + headerBytes, end);
	const given = {buffer, start, end};
	let [withTag, without]: [OutgoingFrame | undefined, OutgoingFrame | undefined] = [tag === vlan ? given : undefined, tag === undefined ? given : undefined];
	return (tagged) => {
		if (tagged) {
			withTag ??= withTagOf(given, tag, vlan);
			return withTag;
		}

		without ??= withoutTag(given);
		return without;
	};
}

/** A frame with a place for a tag of so many bytes where the tag is that it has, of so many bytes. */
function withRoom({buffer, start, end}: OutgoingFrame, has: number, wanted: number): OutgoingFrame {
	const bytes = end - start - has + wanted;
	const copy = Buffer.allocUnsafe(bytes);
	const behind = headerBytes + addressBytes;
	copy.writeUInt32BE(bytes - headerBytes, 0);
	buffer.copy(copy, headerBytes, start + headerBytes, start + behind);
	buffer.copy(copy, behind + wanted, start + behind + has, end);
	return {buffer: copy, start: 0, end: bytes};
}

function withTagOf(frame: OutgoingFrame, tag: number | undefined, vlan: number): OutgoingFrame {
	const made = withRoom(frame, tag === undefined ? 0 : tagBytes, tagBytes);
	const at = headerBytes + addressBytes;
	const priority = tag === undefined ? 0 : frame.buffer.readUInt16BE(frame.start + at + 2) & 0xf000;
	made.buffer.writeUInt16BE(tagType, at);
	made.buffer.writeUInt16BE(priority | vlan, at + 2);
	return made;
}

function withoutTag(frame: OutgoingFrame): OutgoingFrame {
	return withRoom(frame, tagBytes, 0);
}
