/** Options of overlays: defaults, then what the lab says, then `--set`. */
import {failure} from '../host/failure.ts';
import {suggest} from '../host/suggestion.ts';
import {admitValue, allowedValues} from '../spec/option.ts';
import type {OverlayDeclaration} from '../spec/overlay.ts';
import type {OptionValue} from '../spec/topology.ts';

/** A setting of the command line, taken apart: `--set etcd.version=3.6.5`. */
export interface Setting {
	readonly overlay: string;
	readonly option: string;
	readonly value: string;
}

/** The options of one overlay, resolved. */
export type ResolvedOptions = Readonly<Record<string, OptionValue>>;

/** Takes a setting apart. Throws `usage` when it is not `overlay.option=value`. */
export function parseSetting(text: string): Setting {
	const match = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(text);
	if (match === null) {
		throw failure.usage(`\`${text}\` is not a setting`, 'Write --set overlay.option=value, such as etcd.version=3.6.5.');
	}

	return {overlay: match[1]!, option: match[2]!, value: match[3]!};
}

/** A text as a value of the type that the option's default has, or undefined when it is none. */
function typed(text: string, example: OptionValue): OptionValue | undefined {
	switch (typeof example) {
		case 'number':
			return text.trim() === '' || !Number.isFinite(Number(text)) ? undefined : Number(text);
		case 'boolean':
			return text === 'true' ? true : text === 'false' ? false : undefined;
		default:
			return text;
	}
}

const kinds: Readonly<Record<string, string>> = {string: 'a text', number: 'a number', boolean: 'true or false'};

/**
 * The options of one overlay.
 *
 * @param declared what the lab says, already of the right shape
 * @param settings those of the command line; later ones win
 * @returns the options, and every problem as a sentence
 */
export function resolveOptions(
	overlay: string,
	manifest: OverlayDeclaration,
	declared: Readonly<Record<string, OptionValue>>,
	settings: readonly Setting[],
): {options: ResolvedOptions; problems: string[]} {
	const known = manifest.options ?? {};
	const names = Object.keys(known).sort();
	const options: Record<string, OptionValue> = Object.fromEntries(names.map((name) => [name, known[name]!.default]));
	const problems: string[] = [];
	const take = (name: string, source: string, read: (example: OptionValue) => {value: OptionValue | undefined; shown: string}): void => {
		const option = known[name];
		if (option === undefined) {
			const meant = suggest(name, names);
			const list = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
			problems.push(`${source}: overlay \`${overlay}\` has no option \`${name}\`; ${meant === undefined ? list : `did you mean \`${meant}\`? (${list})`}`);
			return;
		}

		const {value, shown} = read(option.default);
		if (value === undefined || typeof value !== typeof option.default) {
			problems.push(`${source}: \`${shown}\` is not ${kinds[typeof option.default]}, as \`${overlay}.${name}\` must be`);
			return;
		}

		const admitted = admitValue(option, value);
		if (admitted === undefined) {
			problems.push(`${source}: \`${overlay}.${name}\` must be ${allowedValues(option)}, not \`${shown}\``);
		} else {
			options[name] = admitted;
		}
	};

	for (const [name, value] of Object.entries(declared)) {
		take(name, 'the lab\'s options', () => ({value, shown: String(value)}));
	}

	for (const setting of settings.filter((candidate) => candidate.overlay === overlay)) {
		take(setting.option, `--set ${setting.overlay}.${setting.option}`, (example) => ({value: typed(setting.value, example), shown: setting.value}));
	}

	return {options, problems};
}
