/** Makes the store of a lab's container images: in a machine, by the container runtime that is to use it, with that runtime's own tools. */
import path from 'node:path';
import {padLayer} from '../build/erofs.ts';
import {imageFolder} from '../build/layer.ts';
import {uuidOf} from '../build/rootfs.ts';
import type {EventSink} from '../event/event.ts';
import {failure} from '../host/failure.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage, StageWork} from '../store/store.ts';
import {withEvidence} from './kept-evidence.ts';
import {bootLab, type Lab} from './lab.ts';
import {imageStoreFile} from './stage-folder.ts';
import {withLab} from './with-lab.ts';

/** Milliseconds at KVM speed that the runtime may take for all images, and the machine for the store of them. */
const storeDeadline = 120_000;

/** The store on the machine that makes it. */
const made = '/root/store.erofs';

/**
 * The shell command that makes it. The runtime's part is a program of its overlay: it takes OCI layouts, ends the runtime, and prints the folder that is the
 * store. Owners, times and attributes in it stay as they are in the images, and nothing is compressed, so that machines map files as they are.
 */
const storeCommand = [
	'set -eu',
	`folder=$(/usr/lib/vmlab/make-image-store ${imageFolder}/*/)`,
	`mkfs.erofs --quiet -U ${uuidOf('image store')} -E noinline_data ${made} "$folder" >&2`,
].join('\n');

/**
 * Makes store.erofs in work.out.
 *
 * @param plan the lab of the one machine that makes it, whose stages are made
 * @throws what `bootLab` throws; `machine-broke` when the runtime does not take the images; `copy-failed`
 */
export async function makeImageStore(
	plan: Plan,
	stages: ReadonlyMap<string, MadeStage>,
	{key, out, signal, progress}: StageWork,
	{events, scenario, evidence}: {events: EventSink; scenario?: string | undefined; evidence?: string | undefined},
): Promise<void> {
	// A name of its own, which no scenario has: whoever lists labs sees what goes on.
	const name = `images-${key.slice(0, 12)}-${process.pid}`;
	await withLab(await bootLab({name, makes: 'image store', scenario, plan, made: stages, events, signal, evidence}), events, async (lab) => withEvidence(lab, {folder: evidence, scenario: scenario ?? name, events}, signal, async () => {
		const machine = plan.machines[0]!.name;
		const connection = await lab.ssh(machine, signal);
		try {
			progress('the container runtime takes in the images');
			const {exitCode, stdout, stderr} = await connection.exec(storeCommand, {timeout: storeDeadline * lab.speed, signal});
			if (exitCode !== 0) {
				throw failure.machineBroke(machine, `its container runtime made no image store (exit code ${exitCode}): ${(stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' | ')}`);
			}

			progress('the store is copied');
			await download(connection, lab, path.join(out, imageStoreFile), signal);
		} finally {
			connection.close();
		}
	}));
	await padLayer(path.join(out, imageStoreFile));
}

/** Copies the store from the machine, which is not trusted to end, or to send no more than its disk can have. */
async function download(connection: SshConnection, {plan, speed}: Lab, file: string, signal: AbortSignal): Promise<void> {
	const {name, disk} = plan.machines[0]!;
	const late = new AbortController();
	const seconds = storeDeadline * speed / 1000;
	const timer = setTimeout(() => {
		late.abort(failure.machineBroke(name, `its image store could not be copied within ${Math.round(seconds)} s`));
	}, seconds * 1000);
	try {
		await connection.download(made, file, {signal: AbortSignal.any([signal, late.signal]), mostBytes: disk});
	} finally {
		clearTimeout(timer);
	}
}
