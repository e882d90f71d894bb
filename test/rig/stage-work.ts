/** What a stage's maker is given, without a store. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {StageWork} from '../../lab/store/store.ts';

/** A maker's folders, its log, and what it says on the way; all in a folder that is removed afterwards. */
export async function withStageWork<Value>(use: (work: StageWork & {readonly folder: string; readonly said: string[]}) => Promise<Value>, signal: AbortSignal = new AbortController().signal): Promise<Value> {
	return withTemporaryFolder(async (folder) => {
		const said: string[] = [];
		const [out, scratch, log] = ['out', 'scratch', 'log'].map((name) => path.join(folder, name)) as [string, string, string];
		await mkdir(out);
		await mkdir(scratch);
		await writeFile(log, '');
		return use({
			key: '0'.repeat(64), out, scratch, log, signal, folder, said,
			progress(text) {
				said.push(text);
			},
		});
	});
}
