/** What the overlay `first-key` left behind on a machine, and what can be claimed of it. */
import {claim, type MachineHandle} from 'vmlab';

/** The first TLS key of a boot. Times are in seconds, by the clock of the kernel's log. */
export interface FirstKey {
	readonly machine: string;
	/** When the kernel had its random numbers; when it began with its first process; when the key was asked for and when it was made. */
	readonly seeded: number;
	readonly userSpace: number;
	readonly asked: number;
	readonly made: number;
	/** Bits of randomness that the kernel had counted when the key was asked for, of 256. */
	readonly bits: number;
	/** How often getrandom(2), told not to wait, had nothing for openssl; and the seconds that openssl waited in it otherwise. */
	readonly refused: number;
	readonly waited: number;
	/** When systemd had started all of the boot's units. */
	readonly booted: number;
}

/** Where a machine has the calls of getrandom(2), as strace(1) wrote them. */
const callsFile = '/run/first-key/getrandom';

/** The time of the only line of the kernel's log (dmesg(1)) that has this text. */
function timeOf(log: string, text: string, machine: string): number {
	const lines = log.split('\n').filter((line) => line.includes(text));
	const [, seconds] = /^\[ *(\d+\.\d+)\]/.exec(lines[0] ?? '') ?? [];
	claim(seconds !== undefined && lines.length === 1, `the kernel's log of ${machine} has ${lines.length} lines with "${text}", and must have one`, lines);
	return Number(seconds);
}

/** What strace(1) wrote of getrandom(2): answers without waiting (GRND_NONBLOCK) that were none, and seconds in the other calls. */
export function readCalls(trace: string, machine: string): Pick<FirstKey, 'refused' | 'waited'> {
	const calls = [...trace.matchAll(/\bgetrandom\((?<words>.*)\) += (?<answer>-?\d+)(?<error>.*?) <(?<seconds>\d+\.\d+)>$/gm)].map(({groups}) => groups!);
	claim(calls.length > 0, `openssl on ${machine} asked for no random numbers`, trace.split('\n'));
	const [prompt, patient] = [true, false].map((nonblock) => calls.filter(({words}) => words!.includes('GRND_NONBLOCK') === nonblock));
	return {
		refused: prompt!.filter(({error}) => error!.includes('EAGAIN')).length,
		waited: patient!.reduce((sum, {seconds}) => sum + Number(seconds), 0),
	};
}

/** When systemd of a machine had started all that a boot starts, in seconds since the kernel began; ssh answers before that. Throws a failed claim while it has not. */
export async function bootDone({$, name}: MachineHandle): Promise<number> {
	const {stdout} = await $`systemctl show --property=FinishTimestampMonotonic --value`;
	claim(Number(stdout) > 0, `systemd of ${name} has not finished its boot`);
	return Number(stdout) / 1e6;
}

/** Reads the record of the first key of a machine whose boot is done. */
export async function readFirstKey(machine: MachineHandle): Promise<FirstKey> {
	const {name} = machine;
	const {stdout: log} = await machine.$`dmesg`;
	const calls = readCalls(await machine.readFile(callsFile), name);
	return {
		machine: name,
		seeded: timeOf(log, 'random: crng init done', name),
		userSpace: timeOf(log, 'Run /init as init process', name),
		asked: timeOf(log, 'first-key: asks', name),
		made: timeOf(log, 'first-key: made', name),
		bits: Number(await machine.readFile('/run/first-key/bits')),
		...calls,
		booted: await bootDone(machine),
	};
}

/** One line about it. */
export function tellFirstKey({machine, seeded, userSpace, asked, made, bits, refused, waited, booted}: FirstKey): string {
	return `${machine}: random numbers at ${seeded.toFixed(2)} s, first process at ${userSpace.toFixed(2)} s, key asked for at ${asked.toFixed(2)} s with ${bits} of 256 bits, made in ${(made - asked).toFixed(2)} s, `
		+ `of which getrandom(2) waited ${waited.toFixed(3)} s${refused === 0 ? '' : ` (and refused ${refused} ${refused === 1 ? 'time' : 'times'} that did not want to wait)`}; boot done at ${booted.toFixed(2)} s`;
}

/** Claims that the kernel had random numbers when the key was asked for. */
export function claimAtOnce({machine, seeded, asked, bits, refused}: FirstKey): void {
	claim(seeded < asked, `the kernel of ${machine} had its random numbers at ${seeded} s, and the first key was asked for at ${asked} s already`);
	claim(bits === 256, `the kernel of ${machine} had counted ${bits} of 256 bits when the first key was asked for`);
	claim(refused === 0, `the kernel of ${machine} refused openssl random numbers ${refused} times`);
}

/** Claims that the kernel had none then, and that openssl waited until it had made some. */
export function claimWaited({machine, seeded, asked, made, bits, waited}: FirstKey): void {
	claim(asked < seeded, `the kernel of ${machine} had random numbers at ${seeded} s, before the first key was asked for at ${asked} s`);
	claim(bits < 256, `the kernel of ${machine} had counted all 256 bits when the first key was asked for`);
	claim(seeded < made, `the first key of ${machine} was made at ${made} s, and the kernel had random numbers only at ${seeded} s`);
	// Starting openssl is not waiting, and takes most of that time on a busy computer.
	claim(waited > (seeded - asked) / 10, `openssl on ${machine} waited ${waited} s for random numbers, though the kernel had none for ${(seeded - asked).toFixed(3)} s`);
}
