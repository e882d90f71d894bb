/**
 * The shapes of what users declare, checked when a declaration is loaded and when one of its functions has answered.
 * Types are not enough: tsx takes them away without looking at them.
 */
import {isIP} from 'node:net';
import {z} from 'zod';
import {suggest} from '../host/suggestion.ts';
import {entropySources} from './entropy.ts';
import {families} from './family.ts';
import {contradiction, type FrameMatch, frameProtocols, vlanRange} from './frame-match.ts';
import {linkDirections} from './impairment.ts';
import {admitValue, allowedValues} from './option.ts';
import type {OptionDeclaration} from './overlay.ts';

const text = z.string();
const words = z.array(text);
const pureFunction = z.custom<(...values: never[]) => unknown>((value) => typeof value === 'function', {error: 'must be a function'});
const duration = text.regex(/^\d+(\.\d+)?(ms|s|m|h)$/, {error: 'must be a duration such as 20ms, 90s or 10m'});
const size = text.regex(/^\d+(\.\d+)?(KiB|MiB|GiB)$/, {error: 'must be a size such as 512MiB or 2GiB'});
const family = z.enum(families as [string, ...string[]]);
const perFamily = z.strictObject({ipv4: text.optional(), ipv6: text.optional()});
const optionValue = z.custom<string | number | boolean>(
	(value) => ['string', 'number', 'boolean'].includes(typeof value), {error: 'must be a text, a number or true/false'});
const version = text.regex(/^[^v]/, {error: 'must be a version without a leading v'});
const port = z.int().min(1).max(65_535);
const mode = z.int().min(0).max(0o7777);
/** Absolute, normal, and where usr-merged systems have it: a link of the base image must not be hidden by a folder. */
const guestPath = text
	.regex(/^(\/[^/\0]+)+$/, {error: 'must be an absolute path without a slash at its end'})
	.refine((value) => !/\/\.\.?(\/|$)/.test(value), {error: 'must not have . or .. in it'})
	.refine((value) => !/^\/(bin|sbin|lib|lib32|lib64|libx32)(\/|$)/.test(value), {error: 'must be usr-merged: /usr/bin, /usr/sbin or /usr/lib'});

function isPattern(value: string): boolean {
	try {
		return new RegExp(value) instanceof RegExp;
	} catch {
		return false;
	}
}

/** Says that exactly one of the keys must be there. */
function oneOf(keys: readonly string[]) {
	return (value: object, context: z.RefinementCtx): void => {
		const there = keys.filter((key) => (value as Record<string, unknown>)[key] !== undefined);
		if (there.length !== 1) {
			context.addIssue({code: 'custom', message: `must have exactly one of ${keys.join(', ')}${there.length === 0 ? '' : `, and has ${there.join(' and ')}`}`});
		}
	};
}

const go = z.strictObject({
	module: text, packages: z.record(text, text), ldflags: text.optional(), tags: words.optional(), cgo: z.boolean().optional(),
	headers: words.optional(), staging: z.boolean().optional(), ownSums: z.boolean().optional(), folder: text.optional(), goVersion: text.optional(),
});
const component = z.strictObject({
	name: text.regex(/^[\w.-]+$/, {error: 'must be letters, digits, dots and dashes'}),
	version,
	programs: z.array(z.strictObject({name: text, path: guestPath.optional(), mode: mode.optional()})),
	dir: text.optional(),
	go: go.optional(),
	cSources: z.strictObject({folders: z.record(text, text)}).optional(),
	release: z.strictObject({url: text, checksumUrl: text, paths: z.record(text, text)}).optional(),
	debian: z.strictObject({package: text, paths: z.record(text, text)}).optional(),
	anyDebianVersion: z.boolean().optional(),
});
const containerImage = z.strictObject({
	reference: text.regex(/^[^\s:@]+(:\d+)?(\/[^\s:@]+)*:[\w.-]+$/, {error: 'must be a whole name with a tag'}),
	source: z.strictObject({
		component: text.optional(), programs: z.record(text, text).optional(), entrypoint: words.optional(), command: words.optional(),
		environment: z.record(text, text).optional(), user: text.optional(), links: z.record(text, text).optional(),
		file: text.optional(), docker: text.optional(),
	}).superRefine(oneOf(['component', 'file', 'docker'])),
});
const certificate = z.strictObject({
	authority: text, commonName: text, organizations: words.optional(), names: words.optional(), addresses: words.optional(),
	usages: z.array(z.enum(['server', 'client'])).min(1),
});
const file = z.strictObject({
	path: guestPath, mode: mode.optional(),
	text: text.optional(), authority: text.optional(), authorityKey: text.optional(), certificate: certificate.optional(),
	certificateKey: certificate.optional(), keyPair: text.optional(), part: z.enum(['private', 'public']).optional(),
	ssh: z.enum(['host-key', 'authorized-key']).optional(), link: text.optional(),
}).superRefine(oneOf(['text', 'authority', 'authorityKey', 'certificate', 'certificateKey', 'keyPair', 'ssh', 'link']));
const forward = z.strictObject({name: text, machine: text, port, hostPort: port.optional()});

const option = z.strictObject({
	default: optionValue, summary: text, values: z.array(optionValue).min(1).optional(),
	minimum: z.number().optional(), maximum: z.number().optional(), whole: z.boolean().optional(),
	pattern: z.strictObject({matches: text.refine(isPattern, {error: 'must be a regular expression', abort: true}), wanted: text}).optional(),
	kind: z.enum(['version', 'folder']).optional(), capability: text.optional(), late: text.optional(),
}).superRefine((declared, context) => {
	if (admitValue(declared as OptionDeclaration, declared.default) === undefined) {
		context.addIssue({code: 'custom', path: ['default'], message: `must be ${allowedValues(declared as OptionDeclaration)}`});
	}
});

const overlay = z.strictObject({
	summary: text.regex(/^[^\n]+$/, {error: 'must be one line'}),
	provides: words.optional(),
	needs: z.custom<unknown>((value) => typeof value === 'function' || (Array.isArray(value) && value.every((item) => typeof item === 'string')), {error: 'must be a list of names, or a function that gives one'}).optional(),
	options: z.record(text, option).optional(),
	roles: words.optional(),
	components: pureFunction.optional(),
	images: pureFunction.optional(),
	packages: words.optional(),
	modulePackages: z.array(text.regex(/^[a-z\d][a-z\d.+-]+$/, {error: 'must be the name of a Debian package'})).optional(),
	kernel: pureFunction.optional(),
	state: z.array(guestPath).optional(),
	routes: pureFunction.optional(),
	files: pureFunction.optional(),
	units: pureFunction.optional(),
	restartInForks: pureFunction.optional(),
	ready: pureFunction.optional(),
	evidence: pureFunction.optional(),
	forwards: pureFunction.optional(),
	access: pureFunction.optional(),
	replaces: words.optional(),
});
const image = z.strictObject({
	summary: text, release: text, kernel: text, packages: words, bootModules: words,
	exclude: words.optional(), mask: words.optional(), kernelArguments: words.optional(),
});
const percentage = text.regex(/^\d+(\.\d+)?%$/, {error: 'must be a percentage such as 5% or 0.1%', abort: true})
	.refine((value) => Number.parseFloat(value) <= 100, {error: 'must be at most 100%'});
const macAddress = text.regex(/^[\da-f]{2}(:[\da-f]{2}){5}$/i, {error: 'must be a MAC address such as 02:00:00:00:01:01'});
/** Of a link's queue: what memory is kept for at most. */
const mostWaiting = {frames: 100_000, size: '64MiB'};
const queueLimit = z.custom<number | string>(
	(value) => (typeof value === 'number' ? Number.isInteger(value) && value >= 1 && value <= mostWaiting.frames : typeof value === 'string' && size.safeParse(value).success),
	{error: `must be a number of frames from 1 to ${mostWaiting.frames}, or a size such as 256KiB (at most ${mostWaiting.size} ever wait)`},
);
const ipAddress = text.refine((value) => isIP(value) !== 0, {error: 'must be an IPv4 or IPv6 address, such as 192.168.1.1 or 1000::1'});
const vlanId = z.int().min(vlanRange.least).max(vlanRange.most);
const linkDirection = z.enum(linkDirections as [string, ...string[]]);
const frameMatch = z.strictObject({
	family: family.optional(), protocol: z.enum(frameProtocols as [string, ...string[]]).optional(),
	port: port.optional(), sourcePort: port.optional(), destinationPort: port.optional(),
	address: ipAddress.optional(), source: ipAddress.optional(), destination: ipAddress.optional(),
	mac: macAddress.optional(), sourceMac: macAddress.optional(), destinationMac: macAddress.optional(), vlan: vlanId.optional(),
}).superRefine((match, context) => {
	const wrong = contradiction(match as FrameMatch);
	if (wrong !== undefined) {
		context.addIssue({code: 'custom', path: [wrong.key], message: `means no frame: ${wrong.why}. ${wrong.suggestion}`});
	}
});
const effects = ['cut', 'loss', 'burst', 'delay', 'duplicate', 'corrupt', 'rate', 'mtu'] as const;
const impairment = z.strictObject({
	direction: linkDirection.optional(), match: frameMatch.optional(), cut: z.literal(true, {error: 'must be true, or left out'}).optional(), loss: percentage.optional(),
	burst: z.strictObject({enter: percentage, leave: percentage, loss: percentage.optional()}).optional(),
	delay: duration.optional(), jitter: duration.optional(), reorder: percentage.optional(), duplicate: percentage.optional(), corrupt: percentage.optional(),
	rate: text.regex(/^(?=[\d.]*[1-9])\d+(\.\d+)?(bit|[KMGkmg]bit)$/, {error: 'must be a rate such as 512Kbit or 10Mbit, of at least 1bit'}).optional(),
	limit: queueLimit.optional(), mtu: z.int().min(1).max(65_535).optional(), seed: z.int().min(0).optional(),
}).superRefine((declared, context) => {
	const refuse = (key: string, message: string): void => {
		context.addIssue({code: 'custom', path: [key], message});
	};

	const there = effects.filter((effect) => declared[effect] !== undefined);
	if (declared.jitter !== undefined && declared.delay === undefined) {
		refuse('jitter', 'needs a `delay`, which varies by it');
	} else if (declared.reorder !== undefined && declared.delay === undefined) {
		refuse('reorder', 'needs a `delay`, which the other frames have');
	} else if (declared.limit !== undefined && declared.delay === undefined && declared.rate === undefined) {
		refuse('limit', 'needs a `delay` or a `rate`, for which frames wait');
	} else if (there.length === 0) {
		context.addIssue({code: 'custom', message: `does nothing: it must have one of ${effects.join(', ')}`});
	} else if (declared.cut !== undefined && there.length > 1) {
		refuse('cut', `lets nothing pass, and leaves nothing for \`${there.find((effect) => effect !== 'cut')}\``);
	}
});
const flap = z.strictObject({up: duration, down: duration});

/** For all machines of a role, or for each by its name. */
const machineNetworks = z.custom<readonly string[] | Readonly<Record<string, readonly string[]>>>(
	(value) => words.safeParse(value).success || z.record(text, words).safeParse(value).success,
	{error: 'must be a list of names of networks, or such a list for each machine: {\'router-1\': [\'left\', \'right\']}'},
);
const network = z.strictObject({
	subnets: perFamily.optional(), families: z.array(family).min(1).max(2).optional(), mtu: z.int().min(576).max(65_535).optional(),
	kind: z.enum(['lan', 'point-to-point']).optional(), vlans: z.record(text, vlanId).optional(),
}).superRefine((declared, context) => {
	const refuse = (key: string, message: string): void => {
		context.addIssue({code: 'custom', path: [key], message});
	};

	const {subnets, families: own, kind, vlans} = declared;
	if (vlans === undefined) {
		if (subnets === undefined && kind !== 'point-to-point') {
			refuse('subnets', 'must be an object, such as {ipv4: \'192.168.3.0/24\'}');
		}

		return;
	}

	for (const [key, there] of [['subnets', subnets], ['families', own]] as const) {
		if (there !== undefined) {
			refuse(key, 'cannot be said of a trunk: the networks of its `vlans` have their own');
		}
	}

	if (kind === 'point-to-point') {
		refuse('kind', 'cannot be point-to-point with `vlans`: a trunk is a switch');
	}

	if (Object.keys(vlans).length === 0) {
		refuse('vlans', 'must not be empty');
	}
});

const lab = z.strictObject({
	image: text.optional(),
	families: z.array(family).min(1).max(2).optional(),
	machines: z.record(text, z.strictObject({
		count: z.int().min(0), cpus: z.int().min(1).optional(), memory: size.optional(), disk: size.optional(), networks: machineNetworks.optional(),
		entropy: z.array(z.enum(entropySources as [string, ...string[]])).optional(),
	})),
	networks: z.record(text, network).optional(),
	links: z.record(text, z.array(impairment)).optional(),
	overlays: words,
	options: z.record(text, z.record(text, optionValue)).optional(),
	pods: perFamily.optional(),
	services: perFamily.optional(),
	external: perFamily.optional(),
	forwards: z.array(forward).optional(),
	egress: z.boolean().optional(),
});
const scenario = z.strictObject({
	summary: text, lab, budget: duration, steps: pureFunction,
	mutation: z.strictObject({
		summary: text, red: text, because: z.instanceof(RegExp, {error: 'must be a regular expression'}), before: text.optional(), apply: pureFunction,
	}).optional(),
	variants: z.record(
		text.regex(/^[a-z0-9][a-z0-9-]*$/, {error: 'must be of small letters, digits and dashes'}),
		z.record(text, z.record(text, optionValue)),
	).optional(),
});

const unit = text.regex(/^[^\s/]+\.(service|socket|timer|path|mount|target)$/, {error: 'must be the whole name of a systemd unit'});

/** The declarations, and the answers of an overlay's functions. */
const schemas = {
	overlay, image, lab, scenario, impairment, frameMatch, flap, linkDirection,
	needs: words,
	components: z.array(component),
	images: z.array(containerImage),
	kernel: z.strictObject({modules: words.optional(), sysctls: z.record(text, z.custom<string | number>((value) => typeof value === 'string' || typeof value === 'number', {error: 'must be a text or a number'})).optional()}),
	routes: z.array(z.strictObject({family, to: text, via: words.min(1)})),
	files: z.array(file),
	units: z.array(unit),
	// They are told to a fork in one line.
	restartInForks: z.array(unit.regex(/^[\w@:.\\-]+$/, {error: 'must have no other characters than letters, digits and @:.\\-_'})),
	ready: z.array(z.strictObject({sentence: text, deadline: duration, unit: text.optional(), port: port.optional(), command: text.optional()}).superRefine(oneOf(['unit', 'port', 'command']))),
	evidence: z.array(z.strictObject({name: text.regex(/^[\w.-]+$/, {error: 'must be the name of a file'}), command: text})),
	forwards: z.array(forward),
	access: z.strictObject({forward: text, authority: text, client: certificate}),
} as const;

/** What a shape can be checked of. */
export type Shape = keyof typeof schemas;

/** Something that is wrong with a declaration. */
export interface Problem {
	/** The whole sentence. */
	readonly text: string;
	/** The keys that lead to it, for finding the place in the source; empty where it is about the whole. */
	readonly keys: readonly string[];
}

/** The schema of the part at a path, for naming the keys that it may have. */
function schemaAt(schema: unknown, path: readonly PropertyKey[]): unknown {
	let current = schema;
	for (const step of [...path, undefined]) {
		while (current instanceof z.ZodOptional) {
			current = current.unwrap();
		}

		if (step === undefined) {
			break;
		}

		current = current instanceof z.ZodObject ? (current.shape as Record<PropertyKey, unknown>)[step]
			: current instanceof z.ZodArray ? current.element
				: current instanceof z.ZodRecord ? current.valueType : undefined;
	}

	return current;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
	return path.reduce<unknown>((current, step) => (current as Record<PropertyKey, unknown> | undefined)?.[step], value);
}

/** `components[0].version` */
function showPath(path: readonly PropertyKey[]): string {
	return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`)).join('');
}

const kinds: Readonly<Record<string, string>> = {
	string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false', array: 'a list', object: 'an object', record: 'an object',
};

function kindOf(value: unknown): string {
	if (value instanceof Promise) {
		return 'a promise';
	}

	return value === null ? 'null' : Array.isArray(value) ? 'a list' : kinds[typeof value] ?? `a ${typeof value}`;
}

function describe(issue: z.core.$ZodIssue, schema: unknown, value: unknown): Problem[] {
	const path = showPath(issue.path);
	const name = path === '' ? 'it' : `\`${path}\``;
	const keys = issue.path.filter((step) => typeof step === 'string');
	switch (issue.code) {
		case 'unrecognized_keys': {
			const part = schemaAt(schema, issue.path);
			const known = part instanceof z.ZodObject ? Object.keys(part.shape) : [];
			return issue.keys.map((unknown) => {
				const meant = suggest(unknown, known);
				return {
					text: `\`${showPath([...issue.path, unknown])}\` is not known; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`,
					keys: [...keys, unknown],
				};
			});
		}

		case 'invalid_type': {
			const there = valueAt(value, issue.path);
			const wanted = kinds[issue.expected] ?? issue.expected;
			return [{text: there === undefined ? `${name} is missing: it must be ${wanted}` : `${name} must be ${wanted}, not ${kindOf(there)}`, keys}];
		}

		case 'invalid_value':
			return [{text: `${name} must be one of ${issue.values.map(String).join(', ')}`, keys}];
		case 'too_small':
			return [{text: issue.origin === 'array' ? `${name} must not be empty` : `${name} must be at least ${issue.minimum}`, keys}];
		case 'too_big':
			return [{text: issue.origin === 'array' ? `${name} must have at most ${issue.maximum} items` : `${name} must be at most ${issue.maximum}`, keys}];
		default:
			return [{text: `${name} ${valueAt(value, issue.path) === undefined ? 'is missing: it ' : ''}${issue.message}`, keys}];
	}
}

/** Everything that is wrong with the shape of a value; empty when nothing is. */
export function problemsOf(shape: Shape, value: unknown): Problem[] {
	const schema = schemas[shape];
	const result = schema.safeParse(value);
	return result.success ? [] : result.error.issues.flatMap((issue) => describe(issue, schema, value));
}
