/**
 * The framing of QEMU's `-netdev stream`: before each Ethernet frame its length, 32 bits, big-endian (net/stream.c).
 *
 * A frame goes out as it came in, header and all, so nothing is copied here: a frame is a piece of the chunk that was
 * read, but for the one in a chunk that was cut off by its end.
 */

/** Bytes of the length before a frame. */
export const headerBytes = 4;
/** The longest frame that QEMU itself takes (NET_BUFSIZE): a longer length is not a frame but an attack or another protocol. */
export const longestFrame = 4096 + 65_536;

/** Takes frames out of a stream of chunks. */
export interface FrameReader {
	/**
	 * Calls `take` for each frame that the chunk completes, in order; pieces of one chunk that follow each other touch.
	 *
	 * @returns false when the stream is no such stream (a length that cannot be): nothing more must be read from it
	 */
	read(chunk: Buffer, take: (buffer: Buffer, start: number, end: number) => void): boolean;
}

/** A reader for one stream. */
export function frameReader(): FrameReader {
	// The start of a frame whose rest is still to come; grows to the frame's length when that is known.
	let begun: Buffer = Buffer.alloc(0);
	let filled = 0;

	return {
		read(chunk, take) {
			let at = 0;
			if (filled > 0) {
				if (filled < headerBytes) {
					const wanted = Math.min(headerBytes - filled, chunk.length);
					begun = Buffer.concat([begun.subarray(0, filled), chunk.subarray(0, wanted)]);
					filled += wanted;
					at = wanted;
					if (filled < headerBytes) {
						return true;
					}
				}

				const length = begun.readUInt32BE(0);
				if (length > longestFrame) {
					return false;
				}

				const size = headerBytes + length;
				if (begun.length < size) {
					const whole = Buffer.allocUnsafe(size);
					begun.copy(whole, 0, 0, filled);
					begun = whole;
				}

				const copied = chunk.copy(begun, filled, at, Math.min(chunk.length, at + size - filled));
				filled += copied;
				at += copied;
				if (filled < size) {
					return true;
				}

				take(begun, 0, size);
				filled = 0;
			}

			for (;;) {
				const left = chunk.length - at;
				if (left < headerBytes) {
					break;
				}

				const length = chunk.readUInt32BE(at);
				if (length > longestFrame) {
					return false;
				}

				const end = at + headerBytes + length;
				if (end > chunk.length) {
					break;
				}

				take(chunk, at, end);
				at = end;
			}

			if (at < chunk.length) {
				// A copy: the chunk's memory should not be held by the few bytes that are left of it.
				begun = Buffer.from(chunk.subarray(at));
				filled = begun.length;
			}

			return true;
		},
	};
}
