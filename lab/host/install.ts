/** Installs packages of the host, on distributions where that can be done unattended. */
import {userInfo} from 'node:os';
import {type Distribution, installCommands, packageNames, readDistribution} from './distribution.ts';
import {LabError} from './error.ts';
import {failure} from './failure.ts';
import {withLock} from './lock.ts';
import {findProgram, run, runAttached} from './program.ts';
import {until} from './wait.ts';

/** Seconds to wait while another program has the packages of the host for itself: a fresh machine brings itself up to date. */
const patience = 300;
/** What is locked while one of ours uses apt-get: a folder of root's that all may read, and that nobody else locks like this (apt-get has record locks on files). */
const aptFolder = '/var/lib/apt';

/** How packages are installed. */
export interface InstallOptions {
	readonly signal: AbortSignal;
	/** Told what is going to be done, before it is done, and how it goes on. */
	readonly say: (text: string) => void;
	readonly distribution?: Distribution;
}

/** What to type to install the packages (Debian's names) on that distribution, as a sentence. */
export function installAdvice(distribution: Distribution, packages: readonly string[]): string {
	const names = packageNames(distribution.family, packages).join(' ');
	return distribution.family === 'other'
		? `Install what your distribution calls ${names} (these are Debian's names).`
		: `Install them: \`${installCommands[distribution.family].join(' ')} ${names}\`.`;
}

/**
 * Installs packages with apt-get, as root or through sudo.
 *
 * @param packages Debian's names
 * @throws `install-by-hand` on other distributions, and where there is neither root nor sudo; `program-failed`
 */
export async function installPackages(packages: readonly string[], options: InstallOptions): Promise<void> {
	const {signal, say} = options;
	if (packages.length === 0) {
		return;
	}

	const distribution = options.distribution ?? await readDistribution();
	const advice = installAdvice(distribution, packages);
	if (distribution.family !== 'debian' || await findProgram('apt-get') === undefined) {
		throw failure.installByHand(distribution.name, packageNames(distribution.family, packages), advice);
	}

	const prefix = await rootPrefix(signal);
	if (prefix === undefined) {
		throw failure.installByHand(`${distribution.name} without root or sudo`, packages, advice);
	}

	say(`Installing with apt-get: ${packages.join(' ')}`);
	// The lists of a fresh machine are empty or old, and an old list names packages that the mirror no longer has.
	await updateLists(prefix, options);
	await apt(prefix, ['install', '--yes', '--quiet=2', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', '-o', `DPkg::Lock::Timeout=${patience}`, ...packages], options);
}

/**
 * Brings apt-get's lists of packages up to date, where that takes no password: a question needs none. Where it fails that is said, and the
 * lists stay as they are.
 */
export async function refreshPackageLists(options: InstallOptions): Promise<void> {
	const {signal, say} = options;
	const {family} = options.distribution ?? await readDistribution();
	if (family !== 'debian' || await findProgram('apt-get') === undefined) {
		return;
	}

	const prefix = await rootPrefix(signal);
	if (prefix === undefined || prefix.attached) {
		return;
	}

	say('Bringing the lists of packages up to date with apt-get');
	try {
		await updateLists(prefix, options);
	} catch (error) {
		if (!(error instanceof LabError) || error.code !== 'program-failed') {
			throw error;
		}

		say(`  They stay as they are: ${error.message}`);
	}
}

/** Those of the packages (Debian's names) that the host's configured mirrors have, with the version that would be installed: '2:1.24~2'. Needs lists, so an update may come first. */
export async function availablePackages(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
	if (await findProgram('apt-cache') === undefined) {
		return new Map();
	}

	const {stdout} = await run('apt-cache', ['policy', ...names], {signal, accept: [0, 100]});
	return new Map(names.flatMap((name) => {
		const version = new RegExp(`^${name.replaceAll('.', '\\.')}:\\n {2}Installed: .*\\n {2}Candidate: (.*)`, 'm').exec(stdout)?.[1];
		return version === undefined || version === '(none)' ? [] : [[name, version] as const];
	}));
}

/** What to put before a command so that it runs as root; undefined where nothing does. */
async function rootPrefix(signal: AbortSignal): Promise<Prefix | undefined> {
	if (userInfo().uid === 0) {
		return {words: [], attached: false};
	}

	if (await findProgram('sudo') === undefined) {
		return undefined;
	}

	const {exitCode} = await run('sudo', ['--non-interactive', 'true'], {signal, accept: [0, 1]});
	if (exitCode === 0) {
		return {words: ['sudo', '--non-interactive'], attached: false};
	}

	// It wants a password: somebody must be there to type it.
	return process.stdin.isTTY && process.stderr.isTTY ? {words: ['sudo'], attached: true} : undefined;
}

interface Prefix {
	readonly words: readonly string[];
	/** Does it have to talk to the person at the terminal? */
	readonly attached: boolean;
}

/** Brings the lists up to date. For another program that does so too apt-get itself does not wait: its option is about packages alone. */
async function updateLists(prefix: Prefix, options: InstallOptions): Promise<void> {
	const failed = await until('no other program has the lists of packages for itself', async () => {
		try {
			await apt(prefix, ['update', '--quiet=2'], options);
		} catch (error) {
			if (error instanceof LabError && error.details?.some((line) => line.includes('Could not get lock')) === true) {
				return {met: false, seen: error.details.at(-1) ?? error.message};
			}

			return {met: true, value: error};
		}

		return {met: true, value: undefined};
	}, {deadline: patience * 1000, interval: 5000, signal: options.signal});
	if (failed !== undefined) {
		throw failed;
	}
}

/** One at a time: two that download at once take each other's files away, where apt-get is set to keep none (as in container images). Others are waited for. */
async function apt(prefix: Prefix, args: readonly string[], options: InstallOptions): Promise<void> {
	const {signal, say} = options;
	await withLock(aptFolder, async () => aptAlone(prefix, args, options), {
		signal,
		onWait(holder) {
			say(`Waiting for ${holder}, which uses apt-get`);
		},
	});
}

async function aptAlone(prefix: Prefix, args: readonly string[], {signal, say}: InstallOptions): Promise<void> {
	const [program = 'env', ...rest] = [...prefix.words, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
	if (prefix.attached) {
		const exitCode = await runAttached(program, rest, {signal, stdout: 'stderr'});
		if (exitCode !== 0) {
			throw failure.programFailed([program, ...rest].join(' '), `ended with exit code ${exitCode}`, []);
		}

		return;
	}

	await run(program, rest, {
		signal,
		onLine(line) {
			if (line.startsWith('E: ') || line.startsWith('Setting up ')) {
				say(`  ${line}`);
			}
		},
	});
}
