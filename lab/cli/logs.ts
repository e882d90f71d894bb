/** `vmlab logs`: a machine's journal. */
import {exitCodes} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {quoteWord} from '../machine/quoting.ts';
import type {SshConnection} from '../machine/ssh.ts';
import {chooseMachine, withConnection} from './lab-choice.ts';
import {wholeNumber} from './option-values.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('names', {type: 'string', array: true, demandOption: true, describe: '[lab] machine'})
		.option('unit', {alias: 'u', type: 'string', array: true, nargs: 1, default: [] as string[], defaultDescription: 'all', describe: 'Only this systemd unit; repeatable'})
		.option('follow', {alias: 'f', type: 'boolean', default: false, describe: 'Go on with what comes'})
		.option('lines', {alias: 'n', type: 'string', requiresArg: true, describe: 'Only the last so many lines'}),
	async run({names, unit, follow, lines: given}, {signal}) {
		const lines = given === undefined ? undefined : wholeNumber('lines', given, 0);
		const {lab, machine} = await chooseMachine(names);
		const words = [
			'journalctl', '--no-pager', '--boot', ...unit.flatMap((name) => ['--unit', name]), ...(follow ? ['--follow'] : []),
			...(lines === undefined ? (follow ? ['--lines=all'] : []) : [`--lines=${lines}`]),
		];
		try {
			return await withConnection(lab, machine.name, signal, async (connection) => {
				await checkUnits(connection, machine.name, unit, signal);
				const {exitCode} = await connection.exec(words.map((word) => quoteWord(word)).join(' '), {
					signal,
					keep: false,
					onOutput(text, stream) {
						process[stream].write(text);
					},
				});
				return exitCode;
			});
		} catch (error) {
			// What is followed has no other end.
			if (follow && signal.aborted) {
				return exitCodes.interrupted;
			}

			throw error;
		}
	},
});

/** Refuses names that no unit of the machine has, and that its journal knows nothing of: journalctl would only be silent. Throws `unknown-unit`. */
async function checkUnits(connection: SshConnection, machine: string, units: readonly string[], signal: AbortSignal): Promise<void> {
	if (units.length === 0) {
		return;
	}

	const {stdout} = await connection.exec(unknownUnitsCommand(units), {signal});
	const [unknown] = stdout.split('\n').filter((line) => line !== '');
	if (unknown !== undefined) {
		const files = await connection.exec('systemctl list-unit-files --no-legend --no-pager --full', {signal});
		throw failure.unknownUnit(machine, unknown, files.stdout.split('\n').map((line) => line.split(' ')[0]!).filter((name) => name !== ''));
	}
}

/** The shell command that prints those of these units that a machine knows nothing of. They may be patterns, as journalctl has them. */
export function unknownUnitsCommand(units: readonly string[]): string {
	const known = ['systemctl list-units --all --plain', 'systemctl list-unit-files'].map((command) => `${command} --no-legend --no-pager -- "$unit"`);
	return `for unit in ${units.map((unit) => quoteWord(unit)).join(' ')}; do [ -n "$({ ${known.join('; ')}; journalctl --quiet --boot --lines=1 --output=cat --no-pager --unit="$unit"; } 2> /dev/null)" ] || printf '%s\\n' "$unit"; done`;
}
