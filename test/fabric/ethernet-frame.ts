/** Frames for tests. */
import {headerBytes} from '../../lab/fabric/framing.ts';

export const everybody = 'ff:ff:ff:ff:ff:ff';

/** The address of a machine, by its number from 0 to 9. */
export const mac = (index: number): string => `02:00:00:00:00:0${index}`;

/** A frame of a private-use type (IEEE 802, 88b5) with a payload of text. */
export function ethernetFrame(to: string, from: string, payload = 'hello', length = 60): Buffer {
	const frame = Buffer.alloc(Math.max(length, 14 + payload.length));
	frame.write(to.replaceAll(':', ''), 0, 'hex');
	frame.write(from.replaceAll(':', ''), 6, 'hex');
	frame.writeUInt16BE(0x88b5, 12);
	frame.write(payload, 14);
	return frame;
}

/** The payload of such a frame. */
export function payloadOf(frame: Buffer): string {
	return frame.subarray(14).toString('utf8').replace(/\0+$/, '');
}

/** A frame with its header before it, as QEMU sends it. */
export function withHeader(frame: Uint8Array): Buffer {
	const framed = Buffer.allocUnsafe(headerBytes + frame.length);
	framed.writeUInt32BE(frame.length);
	framed.set(frame, headerBytes);
	return framed;
}
