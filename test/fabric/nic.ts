/** A machine's end of a link, for tests. */
import {once} from 'node:events';
import {createConnection, type Socket} from 'node:net';
import {frameReader, headerBytes} from '../../lab/fabric/framing.ts';
import {until} from '../../lab/host/wait.ts';
import {payloadOf, withHeader} from './ethernet-frame.ts';

/** A machine's NIC: what QEMU is to the fabric. */
export interface Nic {
	readonly socket: Socket;
	readonly got: Buffer[];
	send(...frames: Buffer[]): void;
	/** Waits until so many frames have come. */
	gets(count: number): Promise<string[]>;
}

/** Connects to a port. */
export async function connectNic(file: string): Promise<Nic> {
	const socket = createConnection(file);
	await once(socket, 'connect');
	const got: Buffer[] = [];
	const reader = frameReader();
	socket.on('data', (chunk: Buffer) => {
		reader.read(chunk, (buffer, start, end) => got.push(Buffer.from(buffer.subarray(start + headerBytes, end))));
	});
	socket.on('error', () => {});
	return {
		socket,
		got,
		send(...frames) {
			socket.write(Buffer.concat(frames.map((frame) => withHeader(frame))));
		},
		gets: async (count) => until(
			`${count} frames come`,
			async () => (got.length >= count ? {met: true, value: got.map((frame) => payloadOf(frame))} : {met: false, seen: `${got.length} frames`}),
			{deadline: 20_000, interval: 50},
		),
	};
}
