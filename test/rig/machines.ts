/**
 * Tests that boot machines take turns: under QEMU's own emulation two labs at once on few processors are slower than one
 * after the other, and deadlines are measured for one.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir, userInfo} from 'node:os';
import path from 'node:path';
import type {ExecutionContext} from 'ava';
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
	/** Ends all its labs, and gives the turn to the next. */
	close(): Promise<void>;
}

/** Waits for its turn at the machines, then gives the bench; whoever opened it closes it. */
export async function openBench(): Promise<Bench> {
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
