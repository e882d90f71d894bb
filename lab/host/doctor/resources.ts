/** What this computer has: memory, room on its disks, devices, namespaces, ports. */
import {constants} from 'node:fs';
import {access, readFile, statfs} from 'node:fs/promises';
import {createServer} from 'node:net';
import {userInfo} from 'node:os';
import path from 'node:path';
import {findProgram, run} from '../program.ts';
import type {Finding} from './finding.ts';

const gib = 1024 ** 3;

function inGib(bytes: number): string {
	return `${(bytes / gib).toFixed(1)} GiB`;
}

/** The memory that programs can still have without any being taken from others: bytes; undefined where the kernel does not say (proc(5), cgroups(7)). */
export async function availableMemory(): Promise<number | undefined> {
	const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
	const available = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
	const left = await readControlGroupRest();
	return available === undefined ? undefined : Math.min(Number(available) * 1024, left);
}

/** Is there memory for machines of that size together? Bytes. */
export async function checkMemory(wanted: number): Promise<Finding[]> {
	return [memoryFinding(await availableMemory(), wanted)];
}

/** The finding for what is available (bytes, undefined where the kernel does not say). */
export function memoryFinding(available: number | undefined, wanted: number): Finding {
	if (available === undefined) {
		return {id: 'memory', status: 'warning', text: 'The kernel does not say how much memory is available', advice: `See with \`free -h\` that ${inGib(wanted)} are available: a lab may need that much.`};
	}

	const text = `${inGib(available)} of memory are available, the machines may use ${inGib(wanted)}`;
	if (available >= wanted) {
		return {id: 'memory', status: 'ok', text};
	}

	// Machines rarely touch all of their memory, and what they have not touched costs nothing.
	return available >= wanted / 2
		? {id: 'memory', status: 'warning', text, advice: 'End other programs or labs (`vmlab list`) if machines get slow.'}
		: {id: 'memory', status: 'problem', text, advice: 'End other programs or labs (`vmlab list`), or use a computer with more memory.'};
}

/** What our own control group may still use, in bytes; Infinity where it has no limit. Its page cache that is not in use counts as free. */
async function readControlGroupRest(): Promise<number> {
	const [most = '', used = '', details = ''] = await Promise.all(['memory.max', 'memory.current', 'memory.stat'].map(async (name) => readFile(`/sys/fs/cgroup/${name}`, 'utf8').catch(() => '')));
	const limit = Number(most.trim() === '' ? Number.NaN : most);
	const cache = Number(/^inactive_file (\d+)$/m.exec(details)?.[1] ?? 0);
	return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : Math.max(0, limit - Number(used) + cache);
}

/** Bytes that we may still write to the filesystem of the folder, or of its nearest parent that exists. */
async function freeBytes(folder: string): Promise<number> {
	for (let candidate = folder; ; candidate = path.dirname(candidate)) {
		try {
			const {bavail, bsize} = await statfs(candidate);
			return bavail * bsize;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || candidate === path.dirname(candidate)) {
				throw error;
			}
		}
	}
}

/** Is there room for what has still to be built? `wanted` in bytes. */
export async function checkDisk(folder: string, wanted: number): Promise<Finding[]> {
	const id = 'disk';
	let free: number;
	try {
		free = await freeBytes(folder);
	} catch (error) {
		return [{
			id, status: 'problem', text: `${folder} cannot be used: ${(error as Error).message}`,
			advice: 'Name another folder with --cache-dir, or VMLAB_CACHE_DIR.',
		}];
	}

	const text = `${inGib(free)} are free for ${folder}, building and running may take ${inGib(wanted)}`;
	return [free >= wanted
		? {id, status: 'ok', text}
		: {
			id, status: free >= wanted / 3 ? 'warning' : 'problem', text,
			advice: 'Make room (`vmlab cache prune` removes what no recent lab used), or name another folder with --cache-dir, or VMLAB_CACHE_DIR.',
		}];
}

/** Does the memory of the machines (bytes) fit into /dev/shm? It is kept in the lab's folder where it does not. */
export async function checkSharedMemory(wanted: number, folder = '/dev/shm'): Promise<Finding[]> {
	const id = 'shared-memory';
	const size = await statfs(folder).then(({bavail, bsize}) => bavail * bsize, () => 0);
	return [size >= wanted
		? {id, status: 'ok', text: `${folder} has ${inGib(size)} free for the memory of machines`}
		: {
			id, status: 'warning',
			text: `${folder} has ${inGib(size)} free, the machines may use ${inGib(wanted)}: their memory is kept on disk instead, which is slower`,
			advice: `Make it larger: \`mount -o remount,size=${Math.ceil(wanted / gib) + 1}G ${folder}\`, or \`--shm-size\` for a container.`,
		}];
}

/** /dev/net/tun, which only a lab with tap devices needs. */
export async function checkTun(device = '/dev/net/tun'): Promise<Finding[]> {
	const id = 'tun';
	try {
		await access(device, constants.R_OK | constants.W_OK);
		return [{id, status: 'ok', text: `${device} can be opened`}];
	} catch {
		return [{id, status: 'ok', text: `${device} cannot be opened; labs do not need it: their network is in user space`}];
	}
}

/** What a look at user namespaces found. */
export interface UserNamespaces {
	readonly uid: number;
	readonly username: string;
	/** Why none can be made; undefined where one can. */
	readonly refusal?: string | undefined;
	/** Is newuidmap there? */
	readonly newuidmap: boolean;
	/** The files of subid(5) that give the user too few ids. */
	readonly lacking: readonly string[];
}

/** User namespaces, with which an ordinary user builds images where no Docker daemon does it instead. Root does not need them. */
export async function checkUserNamespaces(docker: string | undefined): Promise<Finding[]> {
	const {uid, username} = userInfo();
	if (await findProgram('unshare') === undefined) {
		return [{id: 'user-namespaces', status: 'problem', text: 'unshare is not installed', advice: 'Install the package util-linux.', packages: ['util-linux']}];
	}

	const {exitCode, stderr} = await run('unshare', ['--user', '--map-root-user', 'true'], {accept: [0, 1, 126, 127], timeout: 10_000});
	const lacking = [];
	for (const file of ['/etc/subuid', '/etc/subgid']) {
		if (!hasRange(await readFile(file, 'utf8').catch(() => ''), username, uid)) {
			lacking.push(file);
		}
	}

	const newuidmap = await findProgram('newuidmap') !== undefined;
	return userNamespaceFindings({uid, username, newuidmap, lacking, ...(exitCode !== 0 && {refusal: stderr.split('\n')[0] ?? ''})}, docker);
}

/** The findings for what was found, and the version of the Docker daemon that answers; pure. */
export function userNamespaceFindings({uid, username, refusal, newuidmap, lacking}: UserNamespaces, docker: string | undefined): Finding[] {
	const id = 'user-namespaces';
	if (uid === 0) {
		return [{id, status: 'ok', text: refusal === undefined ? 'User namespaces work' : 'User namespaces are off; root builds images without them'}];
	}

	// The second builder makes the same images.
	const [status, instead] = docker === undefined ? ['problem', ''] as const : ['warning', '; images are made in a Docker container instead'] as const;
	if (refusal !== undefined) {
		return [{
			id, status, text: `User namespaces are off, an ordinary user builds images with them: ${refusal}${instead}`,
			advice: 'Set `sysctl kernel.unprivileged_userns_clone=1` (on Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`), or build as root.',
		}];
	}

	return [
		...(newuidmap ? [] : [{id: 'uidmap', status, text: `newuidmap is not installed: an ordinary user builds images with it${instead}`, advice: 'Install the package uidmap.', packages: ['uidmap']}]),
		lacking.length === 0
			? {id, status: 'ok', text: `User namespaces work, and ${username} has subordinate ids`}
			: {
				id, status, text: `${username} has no 65536 subordinate ids in ${lacking.join(' and ')}: files of many owners are made with them${instead}`,
				advice: `As root: \`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}\` (ids that nobody else has).`,
			},
	];
}

/** Does a subid(5) file give the user a range of 65536 ids or more? */
export function hasRange(text: string, username: string, uid: number): boolean {
	return text.split('\n').some((line) => {
		const [owner, , count] = line.split(':');
		return (owner === username || owner === String(uid)) && Number(count) >= 65_536;
	});
}

/** Is the port that a lab prefers free on 127.0.0.1? `holder` says who has it, where that is known. */
export async function checkPort(port: number, purpose: string, holder?: string): Promise<Finding[]> {
	const id = `port-${port}`;
	const free = await new Promise<boolean>((resolve) => {
		const server = createServer();
		server.once('error', () => {
			resolve(false);
		});
		server.listen({host: '127.0.0.1', port, exclusive: true}, () => {
			server.close(() => {
				resolve(true);
			});
		});
	});
	if (free) {
		return [{id, status: 'ok', text: `Port ${port} of 127.0.0.1 is free for ${purpose}`}];
	}

	return [holder === undefined
		? {id, status: 'warning', text: `Port ${port} of 127.0.0.1 is taken: a lab uses a free one for ${purpose}`, advice: '`vmlab status LAB` says which one it is.'}
		: {id, status: 'ok', text: `Port ${port} of 127.0.0.1 belongs to ${holder}; the next lab uses a free one`}];
}
