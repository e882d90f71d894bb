/** `vmlab machine`: what is wrong with a lab's machines on purpose. */
import {failure} from '../host/failure.ts';
import {changeMachine, machineReady, readMachines} from '../runtime/lab-machines.ts';
import type {MachineChange, MachineReport} from '../runtime/machine-change.ts';
import {allOf} from '../runtime/together.ts';
import {parseFill, parseMemory, parseSkew, faultsBeyond, showFaults} from '../spec/fault.ts';
import {chooseLabAnd} from './lab-choice.ts';
import {print, say, type Table} from './output.ts';
import {defineVerb} from './verb.ts';

/** What can be done, in the order of the help. */
export const machineActions = ['list', 'pause', 'resume', 'reboot', 'reset', 'kill', 'start', 'hang-disk', 'fill-disk', 'skew-clock', 'take-memory', 'recover'] as const;

type Action = (typeof machineActions)[number];

/** What the options say beside the action. */
interface Wanted {
	readonly leave?: string | undefined;
	readonly path?: string | undefined;
	readonly by?: string | undefined;
	readonly amount?: string | undefined;
}

/** The options that belong to an action. */
const own: {readonly [Name in Action]?: ReadonlyArray<keyof Wanted>} = {'fill-disk': ['leave', 'path'], 'skew-clock': ['by'], 'take-memory': ['amount']};

/** The change that an action is, without its machine. Throws `usage`, and `bad-value`. */
export function wantedChange(action: Exclude<Action, 'list'>, wanted: Wanted): (machine: string) => MachineChange {
	checkOptions(action, wanted);
	const {leave, path, by, amount} = wanted;
	switch (action) {
		case 'fill-disk': {
			const fill = parseFill({...(leave !== undefined && {leave: leave as '0MiB'}), ...(path !== undefined && {path})});
			return (machine) => ({kind: action, machine, fill});
		}

		case 'skew-clock': {
			if (by === undefined) {
				throw failure.usage('By how much is the clock to be moved?', 'Say it with `--by=+90s` or `--by=-1h`; `--by=+0s` moves it back.');
			}

			const skew = parseSkew(by);
			return (machine) => ({kind: action, machine, skew});
		}

		case 'take-memory': {
			if (amount === undefined) {
				throw failure.usage('How much memory is to be taken?', 'Say it with `--amount 70%` or `--amount 256MiB`.');
			}

			const memory = parseMemory(amount);
			return (machine) => ({kind: action, machine, memory});
		}

		default: {
			return (machine) => ({kind: action, machine});
		}
	}
}

/** Refuses an option that the action would pass over. */
function checkOptions(action: Action, wanted: Wanted): void {
	for (const option of ['leave', 'path', 'by', 'amount'] as const) {
		if (wanted[option] !== undefined && own[action]?.includes(option) !== true) {
			const [fitting] = Object.entries(own).find(([, options]) => options.includes(option)) ?? [''];
			throw failure.usage(`\`vmlab machine ${action}\` has no option --${option}`, `It belongs to \`vmlab machine ${fitting}\`.`);
		}
	}
}

function tableOf(machines: readonly MachineReport[]): Table {
	return {
		columns: ['MACHINE', 'STATE', 'FAULTS'],
		rows: machines.map(({machine, state, faults}) => [machine, state, faultsBeyond(state, showFaults(faults)).join(', ')]),
		none: 'The lab has no machines',
	};
}

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: machineActions, demandOption: true, describe: 'What to do'})
		.positional('names', {type: 'string', array: true, default: [] as string[], defaultDescription: 'the only lab, for list and recover all its machines', describe: '[LAB] MACHINE'})
		.option('leave', {type: 'string', requiresArg: true, defaultDescription: 'nothing', describe: 'fill-disk: how much is left: 10MiB'})
		.option('path', {type: 'string', requiresArg: true, defaultDescription: 'the machine\'s disk', describe: 'fill-disk: a folder of the filesystem'})
		.option('by', {type: 'string', requiresArg: true, describe: 'skew-clock: how far it is moved away from the time that it would have: --by=+90s, --by=-1h'})
		.option('amount', {type: 'string', requiresArg: true, describe: 'take-memory: of all that the machine has, or as a size: 70%, 256MiB'})
		.option('wait', {type: 'boolean', default: true, describe: 'reboot, reset, start and recover: until the machine is ready again'}),
	async run(args, {signal, output, outputChosen}) {
		const {action, names} = args;
		checkOptions(action, args);
		const change = action === 'list' ? undefined : wantedChange(action, args);
		const {lab: {name}, rest: [machine, ...more]} = await chooseLabAnd(names);
		const needed = action !== 'list' && action !== 'recover';
		if (more.length > 0 || (needed && machine === undefined)) {
			throw failure.usage(`\`vmlab machine ${action}\` ${more.length > 0 ? 'is for one machine' : 'needs a machine'}`, `Its form: \`vmlab machine ${action} [LAB] ${needed ? 'MACHINE' : '[MACHINE]'}\`.`);
		}

		const read = async (): Promise<readonly MachineReport[]> => {
			const all = await readMachines(name, signal);
			const chosen = machine === undefined ? all : all.filter((each) => each.machine === machine);
			if (chosen.length === 0 && machine !== undefined) {
				throw failure.unknownName('machine', machine, all.map((each) => each.machine));
			}

			return chosen;
		};

		const chosen = await read();
		if (change !== undefined) {
			// What cannot be done to one of them does not keep it from the others.
			await allOf(chosen.map(async (each) => changeMachine(name, change(each.machine), signal)));

			if (args.wait && (action === 'reboot' || action === 'reset' || action === 'start' || action === 'recover')) {
				await Promise.all(chosen.map(async (each) => machineReady(name, each.machine, signal)));
			}
		}

		const now = change === undefined ? chosen : await read();
		if (change === undefined || outputChosen) {
			await print(output, now, tableOf);
			return;
		}

		for (const {machine: each, state, faults} of now) {
			say(`${each}: ${[state, ...faultsBeyond(state, showFaults(faults))].join(', ')}`);
		}
	},
});
