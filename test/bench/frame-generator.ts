/**
 * A machine's end of a link that sends as fast as it is read: a process of its own, forked by `fabric-alone.ts` as `frame-generator SOCKET BYTES`. Frames are those of one
 * station to another, many in each write.
 */
import {once} from 'node:events';
import {createConnection} from 'node:net';
import {ethernetFrame, mac, withHeader} from '../fabric/ethernet-frame.ts';

/** Bytes of one write, about: far more than the kernel takes at once, so that it is never us who are waited for. */
const writeBytes = 1024 * 1024;

const [file = '', bytes = ''] = process.argv.slice(2);
const frame = withHeader(ethernetFrame(mac(2), mac(1), 'generated', Number(bytes)));
const frames = Buffer.concat(Array.from({length: Math.ceil(writeBytes / frame.length)}, () => frame));
const socket = createConnection(file);
await once(socket, 'connect');
const send = (): void => {
	socket.write(frames, (error) => {
		if (error === undefined || error === null) {
			send();
		}
	});
};

socket.on('error', () => {
	process.exit();
});
// It ends with whoever started it.
process.on('disconnect', () => {
	process.exit();
});
send();
process.send?.('sends');
