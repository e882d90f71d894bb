/** Faults of a lab's machines: what is wrong with each on purpose, and how it comes and goes. */
import {asLabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {until, untilAborted} from '../host/wait.ts';
import {hangDisk, unhangDisk} from '../machine/disk-hang.ts';
import type {Qmp} from '../machine/qmp.ts';
import type {SshConnection} from '../machine/ssh.ts';
import {type MachineFaults, noFaults, showFaults} from '../spec/fault.ts';
import {fillCommand, giveMemoryCommand, moveClockCommand, takeMemoryCommand, unfillCommand} from './guest-faults.ts';
import type {MachineState} from './lab-record.ts';
import {changedFaults, faultsAfterReboot, type MachineChange, type MachineReport} from './machine-change.ts';

/** What a fault needs of the lab. */
export interface FaultOwner {
	readonly lab: string;
	readonly machines: readonly string[];
	/** The factor for deadlines. */
	readonly pace: () => number;
	/** Aborts when the lab ends. */
	readonly signal: AbortSignal;
	/** The monitor of a machine that has power. */
	monitorOf(machine: string): Pick<Qmp, 'execute'>;
	connect(machine: string, deadline: number, signal: AbortSignal): Promise<SshConnection>;
	/** Ends all connections to a machine that knows nothing of them any more. */
	forgetConnections(machine: string): void;
	/** Takes the power away; the lab does not count it as broken. */
	cutPower(machine: string): Promise<void>;
	/** Powers a machine on that has none. */
	givePower(machine: string, signal: AbortSignal): Promise<void>;
	/**
	 * Returns when a machine that begins anew is ready.
	 *
	 * @param consoleFrom what of its console, in bytes, was before
	 */
	bringUp(machine: string, consoleFrom: number, signal: AbortSignal): Promise<void>;
	/** How much its console has said, in bytes. */
	consoleLength(machine: string): Promise<number>;
	/** Told of each change. */
	changed(machine: string, faults: MachineFaults): void;
	/** How far it is, faults left out. */
	stateOf(machine: string): MachineState;
	/** Told of each fault that begins or ends, in words, and of resets, the machine's own too. Seconds that it lasted. */
	tell(machine: string, event: {readonly reason: 'reset'; readonly byItself?: true} | {readonly reason: 'fault'; readonly fault: string} | {readonly reason: 'recovered'; readonly fault: string; readonly seconds: number}): void;
	/** Told of a machine that did not come up again, where nobody waited for it. */
	warn(text: string): void;
}

/** The faults of all machines of a lab. Changes of one machine are made one after the other. */
export interface LabFaults {
	report(): MachineReport[];
	/** How far a machine is, or that it stands still. */
	stateOf(machine: string): MachineState;
	/** Throws `machine-stands-still` where a machine is off or paused. */
	checkRunning(machine: string): void;
	/**
	 * Makes a change, and gives what was wrong before. Returns when a machine has power, not when it is ready: see `settled`.
	 *
	 * @throws `unknown-machine`, `machine-stands-still`, `fault-failed`, `monitor-lost`, `monitor-refused`, `wait-expired`, what `givePower` throws, the signals' reasons
	 */
	change(change: MachineChange, signal?: AbortSignal): Promise<MachineFaults>;
	/** Returns when a machine that was reset or powered on, or reboots by itself, is ready; at once where none does. Throws like `bringUp`, and `machine-stands-still`. */
	settled(machine: string, signal?: AbortSignal): Promise<void>;
	/** The machine has begun anew. Where it did so by itself after it was ready, it is watched and waited for as after a reset: reboots hang no more rarely than first boots. */
	rebooted(machine: string, options: {readonly byItself: boolean}): void;
	/** Runs `use` while no fault is in force, and none can begin. Throws `faults-in-force`. */
	without<Value>(use: () => Promise<Value>): Promise<Value>;
	/** Returns when nothing is under way any more: to be called after the signal has aborted. */
	stop(): Promise<void>;
}

/** Milliseconds at KVM speed for a new connection, and for one command. */
const connectDeadline = 10_000;
const commandDeadline = 30_000;
/** Milliseconds for QEMU to do a reset: it is the host's work. */
const resetDeadline = 30_000;
/** Milliseconds at KVM speed for a machine to shut down, and what that may take on any: systemd gives each service 90 s to end (systemd-system.conf(5)), by the guest's clock. */
const shutdownDeadline = 20_000;
const leastShutdown = 120_000;

interface Faulty {
	faults: MachineFaults;
	/** How often it began anew. */
	starts: number;
	/** When each began, by its words; of `performance.now()`. */
	readonly since: Map<string, number>;
	/** The change before. */
	last: Promise<unknown>;
	/** It comes up: after a reset or a reboot, or since it was powered on. */
	coming?: {readonly stop: AbortController; readonly done: Promise<void>} | undefined;
	/** Why it did not come up, and what of its console was before it began. */
	failed?: {readonly error: unknown; readonly consoleFrom: Promise<number>} | undefined;
}

/** Takes over the machines of a lab, with nothing wrong. */
export function openFaults(owner: FaultOwner): LabFaults {
	const all = new Map(owner.machines.map((name): [string, Faulty] => [name, {faults: noFaults, starts: 0, since: new Map(), last: Promise.resolve()}]));

	const find = (machine: string): Faulty => {
		const found = all.get(machine);
		if (found === undefined) {
			throw failure.unknownName('machine', machine, [...all.keys()]);
		}

		return found;
	};

	const stateOf = (machine: string, {faults}: Faulty): MachineState => (faults.power === 'off' ? 'off' : faults.paused === true ? 'paused' : owner.stateOf(machine));

	/** Takes down what is wrong by now, and tells the difference. */
	const note = (machine: string, faults: MachineFaults): void => {
		const faulty = find(machine);
		const now = showFaults(faults);
		faulty.faults = faults;
		for (const [fault, began] of [...faulty.since]) {
			if (!now.includes(fault)) {
				faulty.since.delete(fault);
				owner.tell(machine, {reason: 'recovered', fault, seconds: (performance.now() - began) / 1000});
			}
		}

		for (const fault of now) {
			if (!faulty.since.has(fault)) {
				faulty.since.set(fault, performance.now());
				owner.tell(machine, {reason: 'fault', fault});
			}
		}

		owner.changed(machine, faults);
	};

	const refuseStandstill = (machine: string, faulty = find(machine)): void => {
		const state = stateOf(machine, faulty);
		if (state === 'off' || state === 'paused') {
			throw failure.machineStandsStill(machine, state);
		}
	};

	const comeUp = (machine: string, consoleFrom: Promise<number>): void => {
		const faulty = find(machine);
		faulty.coming?.stop.abort(failure.machineBeganAnew(machine));
		faulty.failed = undefined;
		const stop = new AbortController();
		const coming = {
			stop,
			done: consoleFrom.then(async (length) => owner.bringUp(machine, length, AbortSignal.any([owner.signal, stop.signal]))).then(() => {
				forget();
			}, (error: unknown) => {
				if (!stop.signal.aborted && !owner.signal.aborted) {
					faulty.failed = {error, consoleFrom};
					owner.warn(asLabError(error).message);
				}

				forget();
				throw error;
			}),
		};
		const forget = (): void => {
			if (faulty.coming === coming) {
				faulty.coming = undefined;
			}
		};

		// Whoever waits for it learns of it.
		coming.done.catch(() => {});
		faulty.coming = coming;
	};

	/** Has the machine do something that makes a fault, or ends one. */
	const inside = async (machine: string, doing: string, command: string, signal: AbortSignal): Promise<void> => {
		const connection = await owner.connect(machine, connectDeadline * owner.pace(), signal);
		try {
			const {exitCode, stdout, stderr} = await connection.exec(`set -eu\n${command}`, {signal, timeout: commandDeadline * owner.pace()});
			if (exitCode !== 0) {
				throw failure.faultFailed(machine, doing, `${stdout}\n${stderr}`.split('\n').map((line) => line.trim()).filter((line) => line !== '').slice(-5));
			}
		} finally {
			connection.close();
		}
	};

	/** Has a machine begin anew, and returns when QEMU has said that it does. */
	const restart = async (machine: string, sentence: string, deadline: number, press: () => Promise<unknown>, signal: AbortSignal): Promise<void> => {
		const faulty = find(machine);
		const {starts} = faulty;
		await press();
		await until(sentence, async () => (faulty.starts > starts ? {met: true, value: undefined} : {met: false, seen: 'QEMU has not said so'}), {deadline, interval: 20, signal});
	};

	const reset = async (machine: string, signal: AbortSignal): Promise<void> => {
		const consoleFrom = owner.consoleLength(machine);
		await consoleFrom;
		// QEMU answers before it has reset the machine, which would still be met as it was.
		await restart(machine, `QEMU has reset the machine ${machine}`, resetDeadline, async () => owner.monitorOf(machine).execute('system_reset'), signal);
		owner.tell(machine, {reason: 'reset'});
		owner.forgetConnections(machine);
		comeUp(machine, consoleFrom);
	};

	/** That it boots is seen as with one that reboots by itself. */
	const reboot = async (machine: string, signal: AbortSignal): Promise<void> => {
		const deadline = Math.max(leastShutdown, shutdownDeadline * owner.pace());
		await restart(machine, `the machine ${machine} has shut down`, deadline, async () => inside(machine, 'reboot', 'systemctl reboot', signal).catch((error: unknown) => {
			// The connection may not live to see the end of the command.
			if (asLabError(error).code !== 'ssh-lost') {
				throw error;
			}
		}), signal);
	};

	/** Takes its power away. What a reboot ends, and what QEMU did, is over. */
	const cut = async (machine: string): Promise<void> => {
		const {faults: {fill}, coming} = find(machine);
		coming?.stop.abort(failure.machineStandsStill(machine, 'off'));
		// Told first, so that its end is nobody's surprise.
		note(machine, {power: 'off', ...(fill && {fill})});
		await owner.cutPower(machine);
		owner.forgetConnections(machine);
	};

	/** Makes what is wrong with a machine what it should be, in the order in which each part can be done: a machine that is to answer needs power, its processors and its disk. */
	const move = async (machine: string, wanted: MachineFaults, signal: AbortSignal): Promise<void> => {
		const faulty = find(machine);
		const isWrong = (key: keyof MachineFaults): boolean => JSON.stringify(faulty.faults[key]) !== JSON.stringify(wanted[key]);
		const set = (changes: {readonly [Key in keyof MachineFaults]: MachineFaults[Key] | undefined}): void => {
			const merged: Record<string, unknown> = {...faulty.faults, ...changes};
			note(machine, Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined)));
		};

		/** Takes something of a machine from inside it, as much as is wanted: what was taken of it before is given back first. */
		const retake = async <Taken>(
			key: 'memory' | 'fill', taken: Taken | undefined, wish: Taken | undefined, parts: Readonly<Record<'give' | 'take', readonly [deed: string, command: (taken: Taken) => string]>>,
		): Promise<void> => {
			if (taken !== undefined) {
				await inside(machine, parts.give[0], parts.give[1](taken), signal);
				set({[key]: undefined});
			}

			if (wish !== undefined) {
				const {starts} = faulty;
				await inside(machine, parts.take[0], parts.take[1](wish), signal).catch((error: unknown) => {
					// A command that ended with a refusal has undone what it did; of one that was lost nobody knows how far it came, so that it counts as done, but for what a reboot has ended.
					if (asLabError(error).code !== 'fault-failed' && (key === 'fill' || faulty.starts === starts)) {
						set({[key]: wish});
					}

					throw error;
				});
				set({[key]: wish});
			}
		};

		// Without power nothing else is wrong with it, but for what is on its disk.
		const wantsPower = wanted.power !== 'off';
		const mustAnswer = isWrong('fill') || (wantsPower && (isWrong('memory') || isWrong('skew')));
		if (faulty.faults.power === 'off' && (wantsPower || mustAnswer)) {
			const consoleFrom = owner.consoleLength(machine);
			await consoleFrom;
			await owner.givePower(machine, signal);
			set({power: undefined});
			comeUp(machine, consoleFrom);
		}

		if (faulty.faults.paused === true && (mustAnswer || (wantsPower && wanted.paused !== true))) {
			await owner.monitorOf(machine).execute('cont');
			set({paused: undefined});
		}

		if (faulty.faults.disk === 'hung' && (mustAnswer || (wantsPower && wanted.disk !== 'hung'))) {
			await unhangDisk(owner.monitorOf(machine));
			set({disk: undefined});
		}

		if (mustAnswer) {
			// What comes up answers when it does, and nothing but its being ready says how long that may take. A machine that does not get ready may answer nevertheless: a full disk may be why.
			await settledOf(faulty, signal).catch(() => {
				signal.throwIfAborted();
			});
		}

		if (wantsPower && isWrong('memory')) {
			await retake('memory', faulty.faults.memory, wanted.memory, {give: ['give memory back', giveMemoryCommand], take: ['take memory', takeMemoryCommand]});
		}

		if (isWrong('fill')) {
			await retake('fill', faulty.faults.fill, wanted.fill, {give: ['empty the disk', unfillCommand], take: ['fill the disk', fillCommand]});
		}

		if (wantsPower && isWrong('skew')) {
			await inside(machine, 'move the clock', moveClockCommand((wanted.skew ?? 0) - (faulty.faults.skew ?? 0)), signal);
			set({skew: wanted.skew});
		}

		if (!wantsPower && isWrong('power')) {
			await cut(machine);
		}

		if (wantsPower && isWrong('disk')) {
			await hangDisk(owner.monitorOf(machine), machine);
			set({disk: 'hung'});
		}

		if (wantsPower && isWrong('paused')) {
			await owner.monitorOf(machine).execute('stop');
			set({paused: true});
		}
	};

	const make = async (change: MachineChange, signal: AbortSignal): Promise<MachineFaults> => {
		const {machine, kind} = change;
		const faulty = find(machine);
		const before = faulty.faults;
		signal.throwIfAborted();
		if (kind === 'reset' || kind === 'reboot' || kind === 'fill-disk' || kind === 'skew-clock' || kind === 'take-memory') {
			refuseStandstill(machine, faulty);
		}

		if ((kind === 'pause' || kind === 'hang-disk') && before.power === 'off') {
			throw failure.machineStandsStill(machine, 'off');
		}

		if (kind === 'reset' || kind === 'reboot') {
			await (kind === 'reset' ? reset : reboot)(machine, signal);
			note(machine, changedFaults(faulty.faults, change));
		} else {
			await move(machine, changedFaults(before, change), signal);
		}

		return before;
	};

	const inTurn = async <Value>(faulty: Faulty, work: () => Promise<Value>): Promise<Value> => {
		const turn = faulty.last.catch(() => {}).then(work);
		faulty.last = turn;
		turn.catch(() => {});
		return turn;
	};

	return {
		report: () => [...all].map(([machine, faulty]) => ({machine, state: stateOf(machine, faulty), faults: faulty.faults})),
		stateOf: (machine) => stateOf(machine, find(machine)),
		checkRunning: (machine) => {
			refuseStandstill(machine);
		},
		async change(change, signal) {
			const faulty = find(change.machine);
			const joint = signal === undefined ? owner.signal : AbortSignal.any([owner.signal, signal]);
			return inTurn(faulty, async () => make(change, joint));
		},
		async settled(machine, signal) {
			const faulty = find(machine);
			refuseStandstill(machine, faulty);
			// It may have got ready since: it is looked at again.
			if (faulty.failed !== undefined) {
				comeUp(machine, faulty.failed.consoleFrom);
			}

			await settledOf(faulty, signal === undefined ? owner.signal : AbortSignal.any([owner.signal, signal]));
		},
		rebooted(machine, {byItself}) {
			const faulty = find(machine);
			const {faults, coming, failed} = faulty;
			const state = owner.stateOf(machine);
			faulty.starts += 1;
			note(machine, faultsAfterReboot(faults));
			// One that boots is watched until it answers, and one that answers in the lab's boot is waited for by that. What QEMU said before its power was cut may come late.
			const isUnwatched = state === 'ready' || failed !== undefined || (coming !== undefined && state === 'answers');
			if (byItself && isUnwatched && faults.power !== 'off' && !owner.signal.aborted) {
				owner.tell(machine, {reason: 'reset', byItself});
				owner.forgetConnections(machine);
				comeUp(machine, owner.consoleLength(machine));
			}
		},
		async without(use) {
			let go: (value: unknown) => void = () => {};
			const free = new Promise((resolve) => {
				go = resolve;
			});
			try {
				// Of each machine the turn is taken, and kept.
				await Promise.all([...all.values()].map(async (faulty) => new Promise<void>((taken) => {
					void inTurn(faulty, async () => {
						taken();
						await free;
					});
				})));
				const refuse = (): void => {
					const inForce = [...all].flatMap(([machine, {faults, coming, failed}]) => [...showFaults(faults), ...(coming === undefined ? [] : ['coming up']), ...(failed === undefined ? [] : ['not ready'])].map((fault) => `${machine}: ${fault}`));
					if (inForce.length > 0) {
						throw failure.faultsInForce(owner.lab, inForce);
					}
				};

				refuse();
				const value = await use();
				// A machine asks nobody before it reboots.
				refuse();
				return value;
			} finally {
				go(undefined);
			}
		},
		async stop() {
			await Promise.allSettled([...all.values()].flatMap(({last, coming}) => [last, coming?.done]));
		},
	};
}

/** Waits for what comes up, and for what comes up in its place where it begins anew meanwhile. */
async function settledOf(faulty: Faulty, signal: AbortSignal): Promise<void> {
	signal.throwIfAborted();
	while (faulty.coming !== undefined) {
		const {coming} = faulty;
		try {
			await untilAborted(coming.done, signal);
		} catch (error) {
			if (signal.aborted || faulty.coming === undefined || faulty.coming === coming) {
				throw error;
			}
		}
	}

	if (faulty.failed !== undefined) {
		throw faulty.failed.error;
	}
}
