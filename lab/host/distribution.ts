/** Which Linux distribution this is, and what it calls the packages that vmlab needs. */
import {readFile} from 'node:fs/promises';

/** Families of distributions by their package manager. */
export type DistributionFamily = 'debian' | 'fedora' | 'suse' | 'arch' | 'other';

/** What /etc/os-release says of this computer (os-release(5)). */
export interface Distribution {
	/** As it calls itself: 'Debian GNU/Linux 12 (bookworm)'. */
	readonly name: string;
	readonly family: DistributionFamily;
	/** 'bookworm', where it says so. */
	readonly codename?: string;
}

/** Reads os-release(5); a computer without one is of the family 'other'. */
export async function readDistribution(file = '/etc/os-release'): Promise<Distribution> {
	return parseDistribution(await readFile(file, 'utf8').catch(() => ''));
}

/** The same, from the file's text. */
export function parseDistribution(text: string): Distribution {
	const fields = new Map<string, string>();
	for (const line of text.split('\n')) {
		const match = /^([A-Z\d_]+)=(.*)$/.exec(line.trim());
		if (match?.[1] !== undefined && match[2] !== undefined) {
			fields.set(match[1], match[2].replace(/^(["'])(.*)\1$/, '$2'));
		}
	}

	const ids = [fields.get('ID') ?? '', ...(fields.get('ID_LIKE') ?? '').split(' ')];
	const codename = fields.get('VERSION_CODENAME');
	return {
		name: fields.get('PRETTY_NAME') ?? fields.get('NAME') ?? 'an unknown Linux',
		family: familyOf(ids),
		...(codename === undefined || codename === '' ? {} : {codename}),
	};
}

function familyOf(ids: readonly string[]): DistributionFamily {
	if (ids.some((id) => id === 'debian' || id === 'ubuntu')) {
		return 'debian';
	}

	if (ids.some((id) => id === 'fedora' || id === 'rhel' || id === 'centos')) {
		return 'fedora';
	}

	if (ids.some((id) => id === 'suse' || id.startsWith('opensuse'))) {
		return 'suse';
	}

	return ids.includes('arch') ? 'arch' : 'other';
}

/** The commands that install packages there. */
export const installCommands: Readonly<Record<Exclude<DistributionFamily, 'other'>, readonly string[]>> = {
	debian: ['apt-get', 'install'],
	fedora: ['dnf', 'install'],
	suse: ['zypper', 'install'],
	arch: ['pacman', '-S'],
};

/** Debian's name -> the others'. A name that is missing is the same there; an empty one means that there is none. */
const otherNames: Readonly<Record<string, Partial<Record<DistributionFamily, string>>>> = {
	'qemu-system-x86': {fedora: 'qemu-system-x86-core', suse: 'qemu-x86', arch: 'qemu-system-x86'},
	'qemu-utils': {fedora: 'qemu-img', suse: 'qemu-tools', arch: 'qemu-img'},
	uidmap: {fedora: 'shadow-utils', suse: 'shadow', arch: 'shadow'},
	mmdebstrap: {suse: '', other: 'mmdebstrap'},
	'golang-go': {fedora: 'golang', suse: 'go', arch: 'go'},
	'libseccomp-dev': {fedora: 'libseccomp-devel', suse: 'libseccomp-devel', arch: 'libseccomp'},
	'pkg-config': {fedora: 'pkgconf-pkg-config', suse: 'pkg-config', arch: 'pkgconf'},
	'docker.io': {fedora: 'moby-engine', suse: 'docker', arch: 'docker'},
};

/** What a distribution of that family calls the packages; those that it does not have are left out. */
export function packageNames(family: DistributionFamily, debianNames: readonly string[]): string[] {
	const names = debianNames.map((name) => otherNames[name]?.[family] ?? name);
	return [...new Set(names.filter((name) => name !== ''))];
}
