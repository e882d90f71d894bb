/** `vmlab cache list|verify|prune|remove`: what was built. */
import {exitCodes} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {formatBytes} from '../report/duration.ts';
import {readFrozenLab} from '../runtime/frozen-lab.ts';
import {isKept, keptName, nameOfKept} from '../runtime/kept-lab.ts';
import {listLabs} from '../runtime/labs.ts';
import {openStore} from '../store/open-store.ts';
import type {MadeStage, Store} from '../store/store.ts';
import {duration} from './option-values.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

/** The least of a key that names a stage. */
const shortestKey = 4;

/** The stage that a name means: of a frozen lab, a checkpoint, any other stage, or the beginning of a key. Throws `stage-not-clear`. */
export function chooseStage(stages: readonly MadeStage[], name: string): MadeStage {
	const named = stages.filter((stage) => [keptName('frozen', name), keptName('checkpoint', name), name].includes(stage.name));
	const found = named.length > 0 || name.length < shortestKey ? named : stages.filter(({key}) => key.startsWith(name));
	if (found.length !== 1) {
		const kept = stages.filter((stage) => isKept(stage)).map((stage) => nameOfKept(stage));
		throw failure.stageNotClear(name, found.length > 1, found.length > 1 ? found.map((stage) => `${stage.name} ${stage.key.slice(0, 12)}`) : kept);
	}

	return found[0]!;
}

/** Key -> who uses it, as a clause: running labs, and labs that were kept by name and run on it. */
async function usersOf(store: Store, without: readonly string[]): Promise<Map<string, string>> {
	const [stages, labs] = await Promise.all([store.list(), listLabs()]);
	const users = new Map<string, string>();
	for (const stage of stages.filter((each) => isKept(each) && !without.includes(each.key))) {
		for (const {key} of (await readFrozenLab(stage.folder).catch(() => undefined))?.plan.stages ?? []) {
			users.set(key, `${stage.name} runs on it`);
		}
	}

	for (const lab of labs) {
		const folders = Object.values(lab.stages);
		for (const {key} of stages.filter(({folder}) => folders.includes(folder))) {
			users.set(key, `the lab ${lab.name} runs on it`);
		}
	}

	return users;
}

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: ['list', 'verify', 'prune', 'remove', 'rm'] as const, demandOption: true, describe: 'List what is there, check its digests, remove what was not used lately, or what is named'})
		.positional('names', {type: 'string', array: true, default: [] as string[], defaultDescription: 'none', describe: 'For remove: what `vmlab freeze` kept, a checkpoint (RUN/STEP), or the beginning of a key'})
		.option('unused', {type: 'string', requiresArg: true, default: '720h', describe: 'For prune: unused for this long; 0s removes all that no running lab and no other command uses'}),
	async run({action, names, unused}, {output}) {
		const isRemoval = action === 'remove' || action === 'rm';
		if (isRemoval !== (names.length > 0)) {
			throw isRemoval ? failure.usage('Nothing is named that is to be removed', '`vmlab cache list` shows what there is.') : failure.usage(`\`vmlab cache ${action}\` takes no names`, '`vmlab cache remove` does.');
		}

		const unusedFor = duration('unused', unused);
		const store = await openStore();
		switch (action) {
			case 'list': {
				const stages = (await store.list()).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.madeAt - a.madeAt));
				await print(output, stages, (all) => ({
					columns: ['STAGE', 'FIRST FOR', 'KEY', 'SIZE', 'MADE', 'TOOK'],
					none: `Nothing is built yet in ${store.folder}.`,
					rows: all.map((stage) => [stage.name, stage.madeFor ?? '', stage.key.slice(0, 12), formatBytes(stage.bytes), new Date(stage.madeAt).toISOString().slice(0, 16), `${Math.round(stage.seconds)} s`]),
				}));
				return exitCodes.done;
			}

			case 'verify': {
				const checked = [];
				for (const stage of await store.list()) {
					checked.push({name: stage.name, key: stage.key, problems: await store.verify(stage)});
				}

				await print(output, checked, (all) => ({
					columns: ['STAGE', 'KEY', 'RESULT'],
					none: `Nothing is built yet in ${store.folder}.`,
					rows: all.map((stage) => [stage.name, stage.key.slice(0, 12), stage.problems.length === 0 ? 'good' : stage.problems.join('; ')]),
				}));
				return checked.some(({problems}) => problems.length > 0) ? exitCodes.component : exitCodes.done;
			}

			case 'prune': {
				const keep = async (): Promise<ReadonlySet<string>> => {
					const used = new Set((await listLabs()).flatMap(({stages}) => Object.values(stages)));
					return new Set((await store.list()).filter(({folder}) => used.has(folder)).map(({key}) => key));
				};

				const removed = await store.prune({unusedSince: Date.now() - unusedFor, keep});
				await print(output, removed, (all) => ({
					columns: ['REMOVED', 'KEY', 'SIZE'],
					none: `Nothing in ${store.folder} was unused for ${unused}.`,
					rows: all.map((stage) => [stage.name, stage.key.slice(0, 12), formatBytes(stage.bytes)]),
				}));
				return exitCodes.done;
			}

			case 'remove':
			case 'rm': {
				const stages = await store.list();
				const keys = names.map((name) => chooseStage(stages, name).key);
				let users = new Map<string, string>();
				const {removed, inUse} = await store.remove(keys, async () => {
					users = await usersOf(store, keys);
					return new Set(users.keys());
				});
				await print(output, removed, (all) => ({
					columns: ['REMOVED', 'KEY', 'SIZE'],
					rows: all.map((stage) => [stage.name, stage.key.slice(0, 12), formatBytes(stage.bytes)]),
				}));
				if (inUse.length > 0) {
					throw failure.stageInUse(inUse.map(({name, key}) => `${name} ${key.slice(0, 12)}: ${users.get(key) ?? 'another command or lab uses it'}`));
				}

				return exitCodes.done;
			}
		}
	},
});
