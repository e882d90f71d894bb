/** Which lab and which machine a command means. */
import type {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {SshConnection} from '../machine/ssh.ts';
import {connectMachine, listLabs, machineOf, type LabRecord, type MachineRecord} from '../runtime/labs.ts';
import {tellLastWords} from '../runtime/last-words.ts';
import {clearDeadLabs} from '../runtime/reaper.ts';

/** Clears what dead labs left, and gives their names and the labs that run. */
export async function clearedAndRunning(): Promise<{readonly cleared: readonly string[]; readonly labs: readonly LabRecord[]}> {
	const cleared = await clearDeadLabs();
	return {cleared, labs: await listLabs()};
}

/** The labs that run. What dead ones left is cleared first. */
export async function runningLabs(): Promise<readonly LabRecord[]> {
	return (await clearedAndRunning()).labs;
}

/** Those of labs that somebody wants for themselves: one that only makes a stage is somebody's build, and must be named. */
export function ownLabs(labs: readonly LabRecord[]): LabRecord[] {
	return labs.filter(({makes}) => makes === undefined);
}

/** The lab of that name, or the only one that runs, but for those that make stages. Throws `no-such-lab` or `lab-not-clear`. */
export async function chooseLab(name: string | undefined): Promise<LabRecord> {
	return chooseOf(await clearedAndRunning(), name);
}

async function chooseOf({cleared, labs}: Awaited<ReturnType<typeof clearedAndRunning>>, name: string | undefined): Promise<LabRecord> {
	if (name === undefined) {
		const own = ownLabs(labs);
		const [only] = own;
		if (only === undefined || own.length > 1) {
			throw failure.labNotClear(own.map((lab) => lab.name));
		}

		return only;
	}

	const lab = labs.find((candidate) => candidate.name === name);
	if (lab === undefined) {
		throw failure.noSuchLab(name, labs.map((candidate) => candidate.name), cleared.includes(name) ? await tellLastWords(name) : undefined);
	}

	return lab;
}

/** Words of which the first may be `LAB/MACHINE`, as `vmlab cp` has it, with that as the two words `LAB MACHINE`; pure. */
export function spelledOut(words: readonly string[]): readonly string[] {
	const [, lab, machine] = /^([^/]+)\/([^/]+)$/.exec(words[0] ?? '') ?? [];
	return lab === undefined || machine === undefined ? words : [lab, machine, ...words.slice(1)];
}

/**
 * `[LAB] WORD...`, or `LAB/WORD...`: the lab that the first word names, and the words behind it; the only lab that runs, and all words, where the first names no lab. Whether the other
 * words name anything is not looked at. Throws `no-such-lab`, `lab-not-clear`.
 */
export async function chooseLabAnd(given: readonly string[]): Promise<{lab: LabRecord; rest: readonly string[]}> {
	const words = spelledOut(given);
	const found = await clearedAndRunning();
	const [first, second] = words;
	const own = ownLabs(found.labs);
	const has = (lab: LabRecord, word: string | undefined): boolean => lab.machines.some(({name}) => name === word?.split('@')[0]);
	const isLab = found.labs.some(({name}) => name === first);
	// A word that nobody has is a machine's that was mistyped, but where a machine's name follows it; what stands before a slash is a lab's.
	const isOwn = first !== undefined && !isLab && words === given && (own.length === 1 ? has(own[0]!, first) || !has(own[0]!, second) : own.some((lab) => has(lab, first)));
	return first === undefined || isOwn ? {lab: await chooseOf(found, undefined), rest: words} : {lab: await chooseOf(found, first), rest: words.slice(1)};
}

/** `MACHINE` where one lab runs, or `LAB MACHINE`, or `LAB/MACHINE`. */
export async function chooseMachine(given: readonly string[]): Promise<{lab: LabRecord; machine: MachineRecord}> {
	const names = spelledOut(given);
	const [first, second] = names;
	if (first === undefined || names.length > 2) {
		throw failure.usage('One machine is to be named: `MACHINE`, or `LAB MACHINE`', 'A command comes after `--`.');
	}

	const found = await clearedAndRunning();
	const {labs} = found;
	const meant = labs.find(({name}) => name === first);
	const [only, ...others] = ownLabs(labs);
	const isMachine = others.length === 0 && only?.machines.some(({name}) => name === first) === true;
	if (second === undefined && meant !== undefined && !isMachine) {
		throw machineMissing(meant);
	}

	if (second !== undefined && meant === undefined && isMachine) {
		throw failure.usage(`\`${first}\` is a machine of the lab ${only!.name}, and no lab`, 'Its form: `LAB MACHINE`, or `MACHINE` where one lab runs; a command comes after `--`.');
	}

	const lab = await chooseOf(found, second === undefined ? undefined : first);
	return {lab, machine: machineOf(lab, second ?? first)};
}

function machineMissing({name: lab, machines}: LabRecord): LabError {
	return failure.usage(`\`${lab}\` is a lab, and one of its machines is to be named too`, `It has ${machines.map(({name}) => name).join(', ')}.`);
}

/** The lab and the machine of a place on one. Throws `no-such-lab`, `lab-not-clear`, `unknown-machine`, or `usage` where a lab is named in the place of a machine. */
export async function chooseRemote({lab: named, machine}: {readonly lab?: string; readonly machine: string}): Promise<{lab: LabRecord; machine: MachineRecord}> {
	const lab = await chooseLab(named);
	if (named === undefined && machine === lab.name && !lab.machines.some(({name}) => name === machine)) {
		throw machineMissing(lab);
	}

	return {lab, machine: machineOf(lab, machine)};
}

/** `[LAB/]MACHINE:PATH`, as `vmlab cp` has it; undefined for a file of this computer. */
export function parseRemote(text: string): {lab?: string; machine: string; path: string} | undefined {
	// As scp(1) has it: what has a slash before its first colon is a file of this computer, unless it is LAB/MACHINE.
	const match = /^(?:([a-z\d][\w.-]*)\/)?([a-z\d][\w-]*):(.*)$/i.exec(text);
	if (match?.[2] === undefined) {
		return undefined;
	}

	// sftp begins in the home folder, and knows no `~`.
	const place = match[3]?.replace(/^~(?:\/+|$)/, '') ?? '';
	return {machine: match[2], path: place === '' ? '.' : place, ...(match[1] !== undefined && {lab: match[1]})};
}

/** Uses a connection to a machine of a running lab, and closes it. */
export async function withConnection<Value>(lab: LabRecord, machine: string, signal: AbortSignal, use: (connection: SshConnection) => Promise<Value>): Promise<Value> {
	const connection = await connectMachine(lab, machine, {signal});
	try {
		return await use(connection);
	} finally {
		connection.close();
	}
}
