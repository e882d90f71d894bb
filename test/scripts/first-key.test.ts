import test from 'ava';
import type {MachineHandle} from '../../lab/scenario/scenario.ts';
import {claimAtOnce, claimWaited, type FirstKey, readCalls, readFirstKey, tellFirstKey} from '../../scripts/steps/first-key.ts';

const waitingTrace = `312 getrandom(0x7f1c9a5b1ab8, 8, GRND_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable) <0.000101>
312 getrandom(""..., 48, 0) = 48 <0.912345>
312 getrandom(""..., 32, 0) = 32 <0.000055>
312 +++ exited with 0 +++
`;
const promptTrace = `312 getrandom(""..., 8, GRND_NONBLOCK) = 8 <0.000101>
312 getrandom(""..., 48, 0) = 48 <0.000200>
312 +++ exited with 0 +++
`;
const log = `[    0.000000] Command line: console=ttyS0
[    1.500000] Run /init as init process
[    4.100000] first-key: asks
[    5.200000] random: crng init done
[    5.600000] first-key: made
`;

function machine(files: Readonly<Record<string, string>>, dmesg = log): MachineHandle {
	return {
		name: 'starved-1',
		$: async ([command = '']: TemplateStringsArray) => ({stdout: command === 'dmesg' ? dmesg : '7250000', stderr: '', exitCode: 0}),
		readFile: async (path: string) => files[path] ?? '',
	} as unknown as MachineHandle;
}

const waited: FirstKey = {machine: 'starved-1', seeded: 5.2, userSpace: 1.5, asked: 4.1, made: 5.6, bits: 12, refused: 1, waited: 0.9124, booted: 7.25};
const prompt: FirstKey = {machine: 'usual-1', seeded: 0.01, userSpace: 1.5, asked: 4.1, made: 4.6, bits: 256, refused: 0, waited: 0.0002, booted: 5};

test('What openssl was refused and what it waited for are told apart', (t) => {
	t.is(readCalls(waitingTrace, 'x').refused, 1);
	t.is(readCalls(waitingTrace, 'x').waited.toFixed(6), '0.912400');
	t.deepEqual(readCalls(promptTrace, 'x'), {refused: 0, waited: 0.0002});
	t.throws(() => readCalls('312 +++ exited with 0 +++\n', 'usual-1'), {message: /^openssl on usual-1 asked for no random numbers/});
});

test('A record is read from the kernel\'s log and the files of the first key', async (t) => {
	const record = await readFirstKey(machine({'/run/first-key/getrandom': waitingTrace, '/run/first-key/bits': '12\n'}));
	t.deepEqual({...record, waited: Number(record.waited.toFixed(4))}, waited);
	t.is(tellFirstKey(record), 'starved-1: random numbers at 5.20 s, first process at 1.50 s, key asked for at 4.10 s with 12 of 256 bits, made in 1.50 s, '
		+ 'of which getrandom(2) waited 0.912 s (and refused 1 time that did not want to wait); boot done at 7.25 s');
});

test('A log that lacks a line, or has it twice, is no record', async (t) => {
	const files = {'/run/first-key/getrandom': waitingTrace, '/run/first-key/bits': '12\n'};
	await t.throwsAsync(readFirstKey(machine(files, log.replace('crng init done', 'x'))), {message: /^the kernel's log of starved-1 has 0 lines with "random: crng init done", and must have one/});
	await t.throwsAsync(readFirstKey(machine(files, log + log)), {message: /has 2 lines with/});
});

test('A key that waited was not made at once, and the other way round', (t) => {
	t.notThrows(() => {
		claimWaited(waited);
		claimAtOnce(prompt);
	});
	t.throws(() => {
		claimAtOnce(waited);
	}, {message: /had its random numbers at 5.2 s, and the first key was asked for at 4.1 s/});
	t.throws(() => {
		claimWaited(prompt);
	}, {message: /had random numbers at 0.01 s, before the first key was asked for/});
});

test('A trace of another machine does not explain the wait of this one', (t) => {
	t.throws(() => {
		claimWaited({...waited, waited: prompt.waited});
	}, {message: /^openssl on starved-1 waited 0.0002 s for random numbers, though the kernel had none for 1.100 s$/});
	t.throws(() => {
		claimWaited({...waited, bits: 256});
	}, {message: /had counted all 256 bits/});
});
