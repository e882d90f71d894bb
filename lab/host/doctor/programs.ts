/** The programs of the host: are they there, and new enough? */
import {findProgram, run} from '../program.ts';
import {timeLimit} from '../wait.ts';
import type {Finding} from './finding.ts';

/** A program that vmlab runs, and the package that has it. */
interface Requirement {
	readonly id: string;
	readonly programs: readonly string[];
	/** Debian's name. */
	readonly packages: readonly string[];
	/** What it is for, as the end of a sentence. */
	readonly purpose: string;
	/** Can vmlab do without? Default false. */
	readonly optional?: boolean;
}

const requirements: readonly Requirement[] = [
	{id: 'qemu-img', programs: ['qemu-img'], packages: ['qemu-utils'], purpose: 'it makes the disks of machines'},
	{id: 'erofs-utils', programs: ['mkfs.erofs'], packages: ['erofs-utils'], purpose: 'it makes layers'},
	{id: 'e2fsprogs', programs: ['mke2fs'], packages: ['e2fsprogs'], purpose: 'it formats the disks of machines'},
	{id: 'cpio', programs: ['cpio'], packages: ['cpio'], purpose: 'it packs what a machine starts with'},
	{id: 'fakeroot', programs: ['fakeroot'], packages: ['fakeroot'], purpose: 'files in layers belong to root whoever builds them'},
	{id: 'util-linux', programs: ['setpriv', 'flock'], packages: ['util-linux'], purpose: 'programs and locks end with vmlab'},
	{id: 'curl', programs: ['curl'], packages: ['curl', 'ca-certificates'], purpose: 'it downloads the releases of components, which are built with Go without it', optional: true},
	{id: 'binutils', programs: ['strip'], packages: ['binutils'], purpose: 'components get smaller with it', optional: true},
];

/** The oldest QEMU that vmlab runs on: the first with `-netdev stream`. */
export const oldestQemu = [7, 2] as const;

/** Everything that every lab needs, but for QEMU and the builder of images. */
export async function checkPrograms(): Promise<Finding[]> {
	return Promise.all(requirements.map(async ({id, programs, packages, purpose, optional = false}): Promise<Finding> => {
		const found = await Promise.all(programs.map(async (program) => findProgram(program)));
		const missing = programs.filter((_, index) => found[index] === undefined);
		return missing.length === 0
			? {id, status: 'ok', text: `${programs.join(' and ')}: there`}
			: {id, status: optional ? 'warning' : 'problem', text: `${missing.join(' and ')} is not installed: ${purpose}`, advice: `Install the package ${packages[0]}.`, packages};
	}));
}

/** The versions of QEMU that machines were booted, frozen and forked with, under TCG. */
const triedQemu: readonly string[] = ['7.2', '10.0', '11.1'];

/** What there is to say of a QEMU of that version. */
export function qemuFinding(major: number, minor: number): Finding {
	const id = 'qemu';
	const version = `${major}.${minor}`;
	const wanted = oldestQemu.join('.');
	if (major < oldestQemu[0] || (major === oldestQemu[0] && minor < oldestQemu[1])) {
		return {id, status: 'problem', text: `QEMU ${version} is too old: machines need ${wanted}`, advice: `Install QEMU ${wanted} or newer, from backports where your release has an older one.`};
	}

	const tried = new Intl.ListFormat('en').format(triedQemu);
	return {id, status: 'ok', text: triedQemu.includes(version) ? `QEMU ${version}, which vmlab was tried with` : `QEMU ${version}; vmlab was tried with ${tried}, and not with this one`};
}

/** QEMU for x86, and its version. */
export async function checkQemu(): Promise<Finding[]> {
	const id = 'qemu';
	const packages = ['qemu-system-x86'];
	if (await findProgram('qemu-system-x86_64') === undefined) {
		return [{id, status: 'problem', text: 'QEMU is not installed: machines run in it', advice: 'Install the package qemu-system-x86.', packages}];
	}

	const {stdout, stderr, exitCode} = await run('qemu-system-x86_64', ['--version'], {accept: [0, 1, 126, 127], timeout: 10_000});
	const version = /version (\d+)\.(\d+)(?:\.\d+)?/.exec(stdout);
	if (exitCode !== 0 || version === null) {
		return [{
			id, status: 'problem', text: `QEMU does not say its version: ${(stderr || stdout).split('\n')[0] ?? ''}`,
			advice: 'Install the package qemu-system-x86 again.', packages,
		}];
	}

	return [qemuFinding(Number(version[1]), Number(version[2]))];
}

/** The builders of images: mmdebstrap, or a Docker daemon that answers. */
export function builderFindings(mmdebstrap: boolean, docker: string | undefined): Finding[] {
	const dockerFinding: Finding = docker === undefined
		? {id: 'docker', status: 'ok', text: 'No Docker daemon answers; only container images that are taken from Docker need one'}
		: {id: 'docker', status: 'ok', text: `Docker ${docker} answers`};
	if (mmdebstrap) {
		return [{id: 'mmdebstrap', status: 'ok', text: 'mmdebstrap: there'}, dockerFinding];
	}

	const cure = {advice: 'Install the package mmdebstrap.', packages: ['mmdebstrap']};
	return [
		docker === undefined
			? {id: 'mmdebstrap', status: 'problem', text: 'Neither mmdebstrap is installed nor does a Docker daemon answer: images are made with one of them', ...cure}
			: {id: 'mmdebstrap', status: 'warning', text: 'mmdebstrap is not installed: images are made in a Docker container instead', ...cure},
		dockerFinding,
	];
}

/** Both builders: mmdebstrap, which is looked for, and the Docker daemon of that version, if one answers. */
export async function checkBuilders(docker: string | undefined): Promise<Finding[]> {
	return builderFindings(await findProgram('mmdebstrap') !== undefined, docker);
}

/** Milliseconds that a Docker daemon may take for the whole of its answer. */
const dockerPatience = 1000;

/** The version of the Docker daemon that answers, if one does within a second. */
export async function askDocker(): Promise<string | undefined> {
	const {request} = await import('node:http');
	const address = dockerAddress(process.env['DOCKER_HOST']);
	if (address === undefined) {
		return undefined;
	}

	return new Promise((resolve) => {
		const asked = request({...address, path: '/version', signal: timeLimit(dockerPatience)}, (response) => {
			let body = '';
			response.setEncoding('utf8');
			response.on('data', (chunk: string) => {
				body += chunk;
			});
			response.on('end', () => {
				try {
					resolve((JSON.parse(body) as {Version?: string}).Version);
				} catch {
					resolve(undefined);
				}
			});
			// An answer that is cut off has no end.
			response.on('close', () => {
				resolve(undefined);
			});
			response.on('error', () => {
				resolve(undefined);
			});
		});
		asked.on('error', () => {
			resolve(undefined);
		});
		asked.end();
	});
}

function dockerAddress(host: string | undefined): {socketPath: string} | {host: string; port: number} | undefined {
	if (host === undefined || host === '') {
		return {socketPath: '/var/run/docker.sock'};
	}

	if (host.startsWith('unix://')) {
		return {socketPath: host.slice('unix://'.length)};
	}

	const match = /^tcp:\/\/([^:/]+):(\d+)/.exec(host);
	return match?.[1] === undefined ? undefined : {host: match[1], port: Number(match[2])};
}
