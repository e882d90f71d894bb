/** What an option of an overlay may be set to. */
import type {OptionDeclaration} from './overlay.ts';
import type {OptionValue} from './topology.ts';

/** As semver.org has it: three numbers, then perhaps a pre-release and a build. */
const version = /^\d+\.\d+\.\d+(-[\da-z.-]+)?(\+[\da-z.-]+)?$/i;

/** The numbers that an option takes, as the end of `must be`. */
function describeRange({minimum, maximum, whole}: OptionDeclaration): string {
	const range = minimum === undefined ? ` of at most ${maximum}` : maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
	return `a${whole === true ? ' whole' : ''} number${minimum === undefined && maximum === undefined ? '' : range}`;
}

/** Which values an option takes, as the end of `must be`; undefined where it takes all of its type. */
export function allowedValues(option: OptionDeclaration): string | undefined {
	const {kind, capability, pattern, values} = option;
	const rule = kind === 'version' ? `a version such as ${version.test(String(option.default)) ? option.default : '1.2.3'}`
		: kind === 'folder' ? 'the absolute path of a folder'
			: capability !== undefined ? `an overlay that provides \`${capability}\``
				: pattern !== undefined ? pattern.wanted
					: option.minimum !== undefined || option.maximum !== undefined || option.whole === true ? describeRange(option) : undefined;
	if (values === undefined) {
		return rule;
	}

	return rule === undefined ? `one of ${values.join(', ')}` : `${rule}, or ${values.join(', ')}`;
}

/**
 * A value as the option has it: a version without its leading v. Undefined where the option does not take it. Which overlays
 * provide a capability is not known here.
 */
export function admitValue(option: OptionDeclaration, value: OptionValue): OptionValue | undefined {
	const {kind, pattern, values, minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY, whole = false} = option;
	if (typeof value !== typeof option.default) {
		return undefined;
	}

	if (values?.includes(value) === true) {
		return value;
	}

	if (typeof value === 'number') {
		return values === undefined && value >= minimum && value <= maximum && (!whole || Number.isInteger(value)) ? value : undefined;
	}

	if (typeof value === 'string' && kind === 'version') {
		const plain = value.replace(/^v(?=\d)/, '');
		return version.test(plain) ? plain : undefined;
	}

	if (typeof value === 'string' && kind === 'folder') {
		return value === '' || value.startsWith('/') ? value : undefined;
	}

	if (typeof value === 'string' && pattern !== undefined) {
		return new RegExp(`^(?:${pattern.matches})$`).test(value) ? value : undefined;
	}

	return values === undefined ? value : undefined;
}
