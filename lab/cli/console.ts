/** `vmlab console`: a machine's serial console, as it is when nothing else answers. */
import {createReadStream, existsSync} from 'node:fs';
import path from 'node:path';
import {Transform} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {StringDecoder} from 'node:string_decoder';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import {plainText} from '../host/plain-text.ts';
import {connectConsole} from '../machine/console.ts';
import {cutPartOf} from '../runtime/console-limit.ts';
import {chooseMachine} from './lab-choice.ts';
import {say} from './output.ts';
import {defineVerb} from './verb.ts';

/** Ctrl-], as telnet(1) has it. */
const leave = 0x1d;
/** Milliseconds, at KVM speed, without a word after the end of what was typed by a program. */
const quietAfterInput = 2000;

export const verb = defineVerb({
	options: (command) => command
		.positional('names', {type: 'string', array: true, demandOption: true, describe: '[lab] machine; Ctrl-] leaves its console, and so does the end of piped input when the machine has been silent for a while after it'})
		.option('log', {type: 'boolean', default: false, describe: 'Print what it wrote so far, and leave'}),
	async run({names, log}, {signal}) {
		const {lab, machine} = await chooseMachine(names);
		const folder = path.join(labFolder(lab.name), machine.name);
		if (log) {
			const file = path.join(folder, 'console.log');
			const cut = cutPartOf(file);
			for (const part of existsSync(cut) ? [cut, file] : [file]) {
				await pipeline(createReadStream(part), withoutEscapes(), process.stdout, {end: false});
			}

			return;
		}

		const socket = await connectConsole(path.join(folder, 'console.sock')).catch((error: NodeJS.ErrnoException) => {
			throw failure.machineBroke(machine.name, `its console does not answer (${error.code ?? error.message})`, error);
		});
		say(`Connected to the console of ${machine.name}; Ctrl-] leaves.`);
		const {stdin, stdout} = process;
		const abort = (): void => {
			socket.destroy();
		};

		signal.addEventListener('abort', abort, {once: true});
		if (stdin.isTTY) {
			stdin.setRawMode(true);
		}

		try {
			socket.pipe(stdout, {end: false});
			if (!stdin.isTTY) {
				// A console that nobody has used waits for Enter, and would take the first line for it.
				socket.write('\n');
			}

			stdin.on('data', (chunk: Buffer) => {
				if (stdin.isTTY && chunk.includes(leave)) {
					socket.end();
				} else {
					socket.write(chunk);
				}
			});
			// Of a pipe that has ended nothing more is typed: when the guest has said no more for a while, that was its answer.
			stdin.once('end', () => {
				const quiet = quietAfterInput * Math.max(1, lab.speed);
				say(`The input has ended: ${Math.round(quiet / 1000)} s without a word leave the console.`);
				socket.setTimeout(quiet, () => {
					socket.destroy();
				});
			});
			await new Promise<void>((resolve, reject) => {
				socket.once('close', () => {
					resolve();
				});
				socket.once('error', reject);
			});
		} finally {
			signal.removeEventListener('abort', abort);
			if (stdin.isTTY) {
				stdin.setRawMode(false);
			}

			stdin.pause();
		}

		signal.throwIfAborted();
	},
});

/** What a guest wrote, made harmless for the terminal that it is printed on. */
function withoutEscapes(): Transform {
	const decoder = new StringDecoder('utf8');
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			done(null, plainText(decoder.write(chunk)));
		},
	});
}
