/** A Debian package of the host's mirror, at the pinned version; or at Debian's own, where the option asks for that. */
import {chmod, copyFile, mkdir, readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {findProgram, run} from '../../host/program.ts';
import {type Answer, type Delivery, lacks, type Provider} from './provider.ts';

/** Downloads the package with apt and unpacks it; nothing is installed on the host. */
export const debianProvider: Provider = {
	name: 'debian',
	async deliver({component, work}: Delivery): Promise<Answer> {
		const {debian, version, anyDebianVersion = false, programs} = component;
		if (debian === undefined) {
			return lacks('no Debian package is declared');
		}

		if ((await findProgram('apt-get')) === undefined || (await findProgram('dpkg-deb')) === undefined) {
			return lacks('this computer has no apt');
		}

		// A state of our own: an ordinary user may not touch the host's, and a download must not depend on what is installed.
		const state = path.join(work.scratch, 'apt');
		await Promise.all(['lists/partial', 'cache/archives/partial'].map(async (folder) => mkdir(path.join(state, folder), {recursive: true})));
		await writeFile(path.join(state, 'status'), '');
		const options = {
			'Dir::State': state, 'Dir::State::status': path.join(state, 'status'), 'Dir::State::lists': path.join(state, 'lists'),
			'Dir::Cache': path.join(state, 'cache'), 'APT::Sandbox::User': '', 'Acquire::Languages': 'none',
		};
		const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
		const apt = async (program: string, args: readonly string[]) => run(program, [...words, ...args], {cwd: state, log: work.log, signal: work.signal});
		work.progress(`asking Debian's mirror for ${debian.package}`);
		await apt('apt-get', ['update', '-qq']);
		const {stdout} = await apt('apt-cache', ['policy', debian.package]);
		const candidate = /Candidate: (\S+)/.exec(stdout)?.[1];
		if (candidate === undefined || candidate === '(none)') {
			return lacks(`Debian has no package ${debian.package}`);
		}

		if (!anyDebianVersion && upstreamVersion(candidate) !== version) {
			return lacks(`Debian has ${debian.package} ${candidate}, not ${version}`);
		}

		await apt('apt-get', ['download', '-qq', `${debian.package}=${candidate}`]);
		const archive = (await readdir(state)).find((name) => name.endsWith('.deb'));
		if (archive === undefined) {
			return lacks(`apt downloaded no package ${debian.package}`);
		}

		const content = path.join(work.scratch, 'package');
		await run('dpkg-deb', ['--extract', path.join(state, archive), content], {log: work.log, signal: work.signal});
		for (const {name} of programs) {
			const inside = debian.paths[name];
			if (inside === undefined) {
				return lacks(`the package ${debian.package} has no ${name}`);
			}

			await copyFile(path.join(content, inside), path.join(work.out, name));
			await chmod(path.join(work.out, name), 0o755);
		}

		return {delivered: true, origin: `Debian ${debian.package} ${candidate}`};
	},
};

/** The upstream part of a Debian version: `1:3.5.16+dfsg-2+b1` is 3.5.16 (deb-version(7)). */
export function upstreamVersion(version: string): string {
	return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '').replace(/[+~](?:dfsg|ds|really).*$/, '');
}
