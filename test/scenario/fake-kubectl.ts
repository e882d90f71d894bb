/** A kubectl that answers from files, for labs in this process. */
import {chmod, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {ExecutionContext} from 'ava';
import type {MadeStage} from '../../lab/store/store.ts';

export interface FakeKubectl {
	/** The stages of a lab that has it. */
	readonly made: ReadonlyMap<string, MadeStage>;
	readonly kubeconfig: string;
	/** What was applied so far. */
	applied(): Promise<string>;
	/** A line for each call: its arguments. */
	calls(): Promise<string[]>;
}

/**
 * `answers` maps a kind (`nodes`) to what `kubectl get KIND` prints. `fail` fails with a message, `hang` never ends, and
 * anything else prints nothing. It fails without its kubeconfig.
 */
export async function createFakeKubectl(t: ExecutionContext, answers: Readonly<Record<string, object>> = {}): Promise<FakeKubectl> {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	for (const [kind, value] of Object.entries(answers)) {
		await writeFile(path.join(folder, `${kind}.json`), JSON.stringify(value));
	}

	const program = path.join(folder, 'kubectl');
	await writeFile(program, `#!/bin/bash
cd '${folder}'
[ "$KUBECONFIG" = '${folder}/kubeconfig' ] || exit 9
printf '%s\\n' "$*" >>calls
case $1 in
	get) [ ! -e "$2.json" ] || cat "$2.json" ;;
	apply) cat >>applied ;;
	fail) echo 'error: it did not work' >&2; exit 1 ;;
	hang) exec sleep 60 ;;
	echo) shift; printf '[%s]' "$@" ;;
esac
`);
	await chmod(program, 0o755);
	const read = async (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8').catch(() => '');
	return {
		made: new Map([['component kubernetes', {name: 'component kubernetes', key: '', folder, digest: '', madeAt: 0, seconds: 0, bytes: 0}]]),
		kubeconfig: path.join(folder, 'kubeconfig'),
		applied: async () => read('applied'),
		calls: async () => (await read('calls')).split('\n').filter((line) => line !== ''),
	};
}
