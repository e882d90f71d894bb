/**
 * A machine's end of a link that reads all it is given, and counts: a process of its own, forked by `fabric-alone.ts` as `frame-sink SOCKET`. Asked by any message, it says how
 * much it has by then.
 */
import {createConnection} from 'node:net';
import {ethernetFrame, everybody, mac, withHeader} from '../fabric/ethernet-frame.ts';

/** What the sink has got so far. */
export interface SinkCount {
	/** With the header before each frame. */
	readonly bytes: number;
	/** Milliseconds, by the sink's own clock. */
	readonly at: number;
}

/** Bytes that are read at once at most. */
const readBytes = 1024 * 1024;

let bytes = 0;
const socket = createConnection({
	path: process.argv[2] ?? '',
	onread: {
		buffer: Buffer.alloc(readBytes),
		callback(length) {
			bytes += length;
			return true;
		},
	},
});
socket.on('error', () => {
	process.exit();
});
socket.on('connect', () => {
	// The switch learns where its station is.
	socket.write(withHeader(ethernetFrame(everybody, mac(2))));
	process.send?.('reads');
});
process.on('message', () => {
	process.send?.({bytes, at: performance.now()} satisfies SinkCount);
});
process.on('disconnect', () => {
	process.exit();
});
