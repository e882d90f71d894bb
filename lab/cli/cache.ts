/** `vmlab cache list|verify|prune`: what was built. */
import {exitCodes} from '../host/error.ts';
import {formatBytes} from '../report/duration.ts';
import {listLabs} from '../runtime/labs.ts';
import {milliseconds} from '../spec/units.ts';
import {openStore} from '../store/open-store.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: ['list', 'verify', 'prune'] as const, demandOption: true, describe: 'List what is there, check its digests, or remove what was not used lately'})
		.option('unused', {type: 'string', requiresArg: true, default: '720h', describe: 'For prune: unused for this long; 0s removes all that no running lab and no other command uses'}),
	async run({action, unused}, {output}) {
		const store = await openStore();
		switch (action) {
			case 'list': {
				const stages = (await store.list()).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.madeAt - a.madeAt));
				await print(output, stages, (all) => ({
					columns: ['STAGE', 'KEY', 'SIZE', 'MADE', 'TOOK'],
					none: `Nothing is built yet in ${store.folder}.`,
					rows: all.map((stage) => [stage.name, stage.key.slice(0, 12), formatBytes(stage.bytes), new Date(stage.madeAt).toISOString().slice(0, 16), `${Math.round(stage.seconds)} s`]),
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

				const removed = await store.prune({unusedSince: Date.now() - milliseconds(unused), keep});
				await print(output, removed, (all) => ({
					columns: ['REMOVED', 'KEY', 'SIZE'],
					none: `Nothing in ${store.folder} was unused for ${unused}.`,
					rows: all.map((stage) => [stage.name, stage.key.slice(0, 12), formatBytes(stage.bytes)]),
				}));
				return exitCodes.done;
			}
		}
	},
});
