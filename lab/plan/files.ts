/** Files of machines: who writes which path, and those that the plan itself writes. */
import path from 'node:path';
import type {LoadedOverlay} from '../spec/load.ts';
import type {KernelDeclaration} from '../spec/overlay.ts';
import type {FileDeclaration} from '../spec/secret.ts';

/** Written by the plan, from what all overlays ask of the kernel: modules-load.d(5), sysctl.d(5). */
export const generatedPaths = {modules: '/etc/modules-load.d/vmlab.conf', sysctls: '/etc/sysctl.d/90-vmlab.conf'} as const;

/** Something that an overlay puts at a path. */
export interface Claim {
	readonly overlay: string;
	/** Absolute. */
	readonly path: string;
	/** `rootfs`: a file or link of its tree; `program`: of a component; `file`: made for each machine. */
	readonly by: 'rootfs' | 'program' | 'file';
}

/** Folders that usr-merged systems have as links: a folder of that name in a layer would hide the link, and nothing starts. */
const mergedFolders = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** What is wrong with an overlay's tree as such. */
export function treeProblems(overlay: LoadedOverlay): string[] {
	return mergedFolders
		.filter((folder) => overlay.tree.some((entry) => entry.path === folder))
		.map((folder) => `overlay \`${overlay.name}\`: rootfs/${folder} would hide a link of the image; put it into rootfs/usr/${folder}`);
}

/** The claims of an overlay's tree. Folders are nobody's: several overlays may have one. */
export function treeClaims(overlay: LoadedOverlay): Claim[] {
	return overlay.tree
		.filter((entry) => entry.kind !== 'folder')
		.map((entry) => ({overlay: overlay.name, path: `/${entry.path}`, by: 'rootfs'}));
}

/** Who wins each contested path, and what cannot be decided. */
export interface Settlement {
	/** The claims that hold. */
	readonly claims: readonly Claim[];
	readonly problems: readonly string[];
}

/**
 * Settles who writes each path. A path has one writer, unless exactly one of the overlays that claim it has it in its
 * `replaces`. A path cannot be a file of one overlay and a folder with files of another.
 *
 * @param claims in the order of the overlays
 * @param replaces overlay -> the paths that it overrides on purpose
 */
export function settle(claims: readonly Claim[], replaces: ReadonlyMap<string, readonly string[]>): Settlement {
	const byPath = new Map<string, Claim[]>();
	for (const claim of claims) {
		byPath.set(claim.path, [...(byPath.get(claim.path) ?? []), claim]);
	}

	const problems: string[] = [];
	const holding: Claim[] = [];
	for (const [file, contenders] of byPath) {
		const overlays = [...new Set(contenders.map(({overlay}) => overlay))];
		const winners = overlays.filter((overlay) => replaces.get(overlay)?.includes(file));
		const winner = overlays.length === 1 ? overlays[0] : winners.length === 1 ? winners[0] : undefined;
		const winning = contenders.filter(({overlay}) => overlay === winner);
		if (winner === undefined) {
			problems.push(`overlays ${overlays.map((overlay) => `\`${overlay}\``).join(' and ')} ${overlays.length === 2 ? 'both' : 'all'} write ${file}`);
		} else if (winning.length > 1) {
			problems.push(`overlay \`${winner}\` writes ${file} twice: as ${winning.map(({by}) => words[by]).join(' and as ')}`);
		} else {
			const later = contenders.slice(contenders.indexOf(winning[0]!) + 1);
			if (winning[0]!.by === 'rootfs' && later.some(({by}) => by === 'rootfs')) {
				problems.push(`overlay \`${winner}\` replaces ${file}, but \`${later[0]!.overlay}\` comes after it: let \`${winner}\` need \`${later[0]!.overlay}\``);
			}

			holding.push(winning[0]!);
		}

		for (let folder = path.dirname(file); folder !== '/'; folder = path.dirname(folder)) {
			const owner = byPath.get(folder)?.[0];
			if (owner !== undefined) {
				problems.push(`${folder} is a file of overlay \`${owner.overlay}\`, and a folder of \`${contenders[0]!.overlay}\`, which writes ${file}`);
			}
		}
	}

	return {claims: holding, problems};
}

const words: Readonly<Record<Claim['by'], string>> = {rootfs: 'a file of its rootfs', program: 'a program of a component', file: 'a file for the machine'};

/** What overlays ask of the kernel, in one: the generated files, and contradictions. */
export function kernelFiles(
	asked: ReadonlyArray<{overlay: string; kernel: KernelDeclaration}>,
	replaces: ReadonlyMap<string, readonly string[]>,
): {files: FileDeclaration[]; problems: string[]} {
	const modules = [...new Set(asked.flatMap(({kernel}) => kernel.modules ?? []))].sort();
	const problems: string[] = [];
	const sysctls = new Map<string, {overlay: string; value: string}>();
	for (const {overlay, kernel} of asked) {
		for (const [name, raw] of Object.entries(kernel.sysctls ?? {})) {
			const value = String(raw);
			const before = sysctls.get(name);
			if (before !== undefined && before.value !== value && replaces.get(before.overlay)?.includes(name)) {
				continue;
			}

			if (before !== undefined && before.value !== value && !replaces.get(overlay)?.includes(name)) {
				problems.push(`overlays \`${before.overlay}\` and \`${overlay}\` set ${name} to ${before.value} and to ${value}`);
			}

			sysctls.set(name, {overlay, value});
		}
	}

	const lines = [...sysctls].map(([name, {value}]) => `${name} = ${value}`).sort();
	return {
		files: [
			...(modules.length === 0 ? [] : [{path: generatedPaths.modules, text: `${modules.join('\n')}\n`}]),
			...(lines.length === 0 ? [] : [{path: generatedPaths.sysctls, text: `${lines.join('\n')}\n`}]),
		],
		problems,
	};
}
