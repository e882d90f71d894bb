import {once} from 'node:events';
import {createServer, type Socket} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {failure} from '../../lab/host/failure.ts';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {tellFork} from '../../lab/machine/fork-line.ts';

/** A guest's end of the line: what it does with each piece that it reads. */
async function withGuest(answer: (text: string, line: Socket) => void, use: (scene: {socket: string; read: string[]; closed: Promise<void>}) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const socket = path.join(folder, 'fork.sock');
		const read: string[] = [];
		let end: () => void = () => {};
		const closed = new Promise<void>((resolve) => {
			end = resolve;
		});
		const server = createServer((line) => {
			line.setEncoding('latin1');
			line.on('data', (text: string) => {
				read.push(text);
				answer(text, line);
			});
			line.on('error', () => {});
			line.on('close', end);
		});
		server.listen(socket);
		await once(server, 'listening');
		try {
			await use({socket, read, closed});
		} finally {
			server.close();
		}
	});
}

test('a guest is given random bytes, other ones each time, and is done when it says so', async (t) => {
	await withGuest((_text, line) => line.write('seeded\n'), async ({socket, read, closed}) => {
		await tellFork({machine: 'node-1', socket, deadline: 20_000});
		await closed;
		await tellFork({machine: 'node-1', socket, deadline: 20_000});
		t.is(read.length, 2);
		t.true(read.every((line) => /^forked [\da-f]{128}\n$/.test(line)), read.join(''));
		t.not(read[0], read[1]);
	});
});

test('an answer counts that comes in pieces, after other words, and with the line ends of a terminal', async (t) => {
	await withGuest((_text, line) => {
		line.write('something that was on its way\r\nsee');
		setTimeout(() => line.write('ded\r\n'), 100);
	}, async ({socket}) => {
		await t.notThrowsAsync(tellFork({machine: 'node-1', socket, deadline: 20_000}));
	});
});

const restart = ['web.service', 'dns.service'];

test('a guest is told the units that it restarts, and the time, and has the time that these take', async (t) => {
	await withGuest((_text, line) => {
		line.write('restarting\n');
		setTimeout(() => line.write('seeded\n'), 600);
	}, async ({socket, read}) => {
		await tellFork({machine: 'node-1', socket, clock: 1_500, restart, deadline: 100, restartDeadline: 20_000});
		t.regex(read.join(''), /^forked [\da-f]{128} clock 1\.500 restart web\.service dns\.service\n$/);
	});
});

test('a unit that does not start again ends the wait at once, told with the machine, the unit and what systemd said', async (t) => {
	await withGuest((_text, line) => {
		line.write('restarting\nnot restarted: Job for dns.service');
		setTimeout(() => line.write(' failed because the control process exited with error code.\u001B[31m\n'), 100);
	}, async ({socket, closed}) => {
		const error = await t.throwsAsync(tellFork({machine: 'node-1', socket, restart, deadline: 60_000, restartDeadline: 60_000}), {instanceOf: LabError});
		t.is(error.code, 'fork-restart-failed');
		t.is(error.exitCode, 6);
		t.is(error.message, 'The machine node-1 was forked, and dns.service could not be restarted there');
		t.deepEqual(error.details, ['Job for dns.service failed because the control process exited with error code.']);
		await closed;
	});
});

test('units that do not come to an end are told, not random numbers', async (t) => {
	await withGuest((_text, line) => line.write('restarting\n'), async ({socket}) => {
		const error = await t.throwsAsync(tellFork({machine: 'node-1', socket, restart, deadline: 1000, restartDeadline: 2000}), {instanceOf: LabError});
		t.is(error.code, 'fork-restart-failed');
		t.regex(error.message, /web\.service, dns\.service/);
		t.regex(error.details.join(), /not within/);
	});
	await withGuest(() => {}, async ({socket}) => {
		await t.throwsAsync(tellFork({machine: 'node-1', socket, restart, deadline: 100, restartDeadline: 200}), {code: 'fork-silent'});
	});
});

test('a guest that says nothing is told as silent, with the machine\'s name', async (t) => {
	await withGuest(() => {}, async ({socket, closed}) => {
		const error = await t.throwsAsync(tellFork({machine: 'node-1', socket, deadline: 300}), {instanceOf: LabError});
		t.is(error.code, 'fork-silent');
		t.is(error.exitCode, 6);
		t.regex(error.message, /node-1/);
		t.deepEqual(error.details, ['last seen: silence']);
		await closed;
	});
});

test('a guest that says something else is not believed, and what it says is shown without control characters', async (t) => {
	await withGuest((_text, line) => line.write('unseeded\nnot seeded\n\u001B[31mRNDADDENTROPY: Operation not permitted\n'), async ({socket}) => {
		const error = await t.throwsAsync(tellFork({machine: 'node-1', socket, deadline: 3000}), {instanceOf: LabError});
		t.is(error.code, 'fork-silent');
		t.regex(error.details.join('\n'), /RNDADDENTROPY: Operation not permitted/);
		t.false(error.details.join('').includes('\u001B'));
	});
});

test('a line that breaks is told as a silent guest in time, not as an error of sockets', async (t) => {
	await withGuest((_text, line) => line.destroy(), async ({socket}) => {
		await t.throwsAsync(tellFork({machine: 'node-1', socket, deadline: 300}), {code: 'fork-silent'});
	});
});

test('an interruption ends the wait at once', async (t) => {
	const controller = new AbortController();
	await withGuest(() => {
		controller.abort(failure.interrupted('SIGINT'));
	}, async ({socket, closed}) => {
		await t.throwsAsync(tellFork({machine: 'node-1', socket, deadline: 60_000, signal: controller.signal}), {code: 'interrupted'});
		await closed;
	});
});

test('a machine that has no such line is the system\'s error', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await t.throwsAsync(tellFork({machine: 'node-1', socket: path.join(folder, 'nothing.sock'), deadline: 1000}), {code: 'ENOENT'});
	});
});
