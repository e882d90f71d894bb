/**
 * Tests that boot machines take turns: under QEMU's own emulation two labs at once on few processors are slower than one
 * after the other, and deadlines are measured for one.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir, userInfo} from 'node:os';
import path from 'node:path';
import type {ExecutionContext, TestFn} from 'ava';
import {takeLock} from '../../lab/host/lock.ts';
import {type CommandOptions, type CommandOutcome, outcomeText, vmlab} from './command.ts';

/** The command line with a state folder of its own, so that no lab of the person who runs the tests is touched. */
export interface Bench {
	/** VMLAB_STATE_DIR of all its commands. */
	readonly state: string;
	/** A folder for whatever the test writes. */
	readonly folder: string;
	run(words: readonly string[], options?: CommandOptions): Promise<CommandOutcome>;
	/** The same, and the test fails with the command's output where the exit code is another one. Gives stdout. */
	expect(t: ExecutionContext<any>, code: number, words: readonly string[], options?: CommandOptions): Promise<string>;
}

/** Milliseconds that a file of tests may wait for its turn, and that the end of all its labs may take. */
const turn = 60 * 60_000;
const clearing = 5 * 60_000;

/**
 * A bench for all tests of a file: its turn at the machines is waited for before the first, and given to the next file after
 * the last, when all labs of the bench have ended. It may be used from the first test (and `before` hook) on.
 */
export function benchFor(test: TestFn<any>): Bench {
	let opened: OpenBench | undefined;
	const bench = (): OpenBench => {
		if (opened === undefined) {
			throw new Error('the bench is opened before the first test');
		}

		return opened;
	};

	test.serial.before('the bench is opened', async (t) => {
		t.timeout(turn);
		opened = await openBench();
	});
	test.serial.after.always('the bench is cleared', async (t) => {
		t.timeout(clearing);
		await opened?.close();
	});
	return {
		get state() {
			return bench().state;
		},
		get folder() {
			return bench().folder;
		},
		run: async (words, options) => bench().run(words, options),
		expect: async (t, code, words, options) => bench().expect(t, code, words, options),
	};
}

interface OpenBench extends Bench {
	/** Ends all its labs, and gives the turn to the next. */
	close(): Promise<void>;
}

async function openBench(): Promise<OpenBench> {
	const release = await takeLock(path.join(tmpdir(), `vmlab-tests-${userInfo().uid}.lock`));
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	const state = path.join(folder, 'state');
	const run = async (words: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> => vmlab(words, {...options, env: {VMLAB_STATE_DIR: state, ...options.env}});
	return {
		state,
		folder,
		run,
		async expect(t, code, words, options) {
			const outcome = await run(words, options);
			t.is(outcome.code, code, `vmlab ${words.join(' ')}\n${outcomeText(outcome)}`);
			return outcome.stdout;
		},
		async close() {
			try {
				await run(['down', '--all']);
			} finally {
				await rm(folder, {recursive: true, force: true});
				await release();
			}
		},
	};
}
