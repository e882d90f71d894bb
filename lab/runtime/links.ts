/** The links of a lab that lives: what is set on them in the fabric, and whether the machines' NICs have a carrier, which QEMU sees to. */
import type {Fabric} from '../fabric/fabric.ts';
import {type LinkReport, showReport} from '../fabric/link.ts';
import {changedSetting, type LinkChange, type LinkSetting, showSetting} from '../fabric/link-setting.ts';
import {networkCardId} from '../machine/arguments.ts';
import type {Qmp} from '../machine/qmp.ts';
import {nicsOf} from '../plan/networks.ts';
import type {LabMachine} from '../spec/topology.ts';
import {type Carrier, linkName} from '../spec/impairment.ts';

/** All links of a lab. Changes are made one after the other. */
export interface LabLinks {
	/** By now. Throws `fabric-failed`. */
	report(): Promise<LinkReport[]>;
	/**
	 * Makes a change, and gives what was set before.
	 *
	 * @throws `unknown-link`, `fabric-failed`; `monitor-lost` and `monitor-refused` where the machine cannot be told of its carrier, and then all is as before
	 */
	change(change: LinkChange): Promise<LinkSetting>;
	/** Takes up what the fabric was started with: tells machines of a carrier that is not there, and lets those flap that did. With a machine: what the links of one are that was powered on again. */
	takeUp(machine?: string): Promise<void>;
	/** Runs `use` while nothing changes: no carrier flaps, and changes wait. */
	unchanged<Value>(use: () => Promise<Value>): Promise<Value>;
	/** No carrier flaps any more. */
	stop(): void;
}

/** What the links belong to. */
export interface LinkOwner {
	readonly machines: readonly LabMachine[];
	readonly fabric: Pick<Fabric, 'links' | 'changeLink'>;
	/** The monitor of a machine; undefined for one that has no power. */
	monitorOf(machine: string): Pick<Qmp, 'execute'> | undefined;
	/** Told of each fault of a link that begins or ends, in words, and of those that are there when they are taken up. Seconds that it lasted. */
	tell(link: string, event: {readonly reason: 'fault'; readonly fault: string} | {readonly reason: 'recovered'; readonly fault: string; readonly seconds: number}): void;
}

/** Takes over the links of a lab. */
export function openLinks({machines, fabric, monitorOf, tell}: LinkOwner): LabLinks {
	const places = new Map(machines.flatMap((machine) => nicsOf(machine).map(({network}, place) => [linkName(machine.name, network), {machine: machine.name, place}])));
	/** Link -> what its carrier flaps by, and when it does next. A timer that is not the one that is there has nothing to do any more. */
	const flaps = new Map<string, {readonly setting: LinkSetting; timer?: NodeJS.Timeout}>();
	/** Link -> what was told to be wrong with it -> since when, of `performance.now()`. */
	const since = new Map<string, Map<string, number>>();
	let still = false;
	let stopped = false;
	let last: Promise<unknown> = Promise.resolve();

	const inTurn = async <Value>(work: () => Promise<Value>): Promise<Value> => {
		const turn = last.catch(() => {}).then(work);
		last = turn;
		return turn;
	};

	/** QEMU takes the NIC's id: what it then keeps of the carrier belongs to the NIC's state, and goes along into a fork. */
	const tellMachine = async (link: string, carrier: Carrier): Promise<void> => {
		const {machine, place} = places.get(link) ?? {};
		if (machine !== undefined && place !== undefined) {
			await monitorOf(machine)?.execute('set_link', {name: networkCardId(place), up: carrier === 'up'});
		}
	};

	const make = async (change: LinkChange): Promise<LinkSetting> => {
		const {link} = change;
		const before = await fabric.changeLink(change);
		const after = changedSetting(before, change);
		if (after.carrier !== before.carrier) {
			try {
				await tellMachine(link, after.carrier);
			} catch (error) {
				await fabric.changeLink({kind: 'put', link, setting: before});
				throw error;
			}
		}

		follow(link, after);
		tellDifference(link, showSetting(after));
		return before;
	};

	const tellDifference = (link: string, now: readonly string[]): void => {
		const told = since.get(link) ?? new Map<string, number>();
		since.set(link, told);
		for (const [fault, began] of [...told].filter(([words]) => !now.includes(words))) {
			told.delete(fault);
			tell(link, {reason: 'recovered', fault, seconds: (performance.now() - began) / 1000});
		}

		for (const fault of now.filter((words) => !told.has(words))) {
			told.set(fault, performance.now());
			tell(link, {reason: 'fault', fault});
		}
	};

	/** Sees to it that the carrier of a link flaps, or does so no more. */
	const follow = (link: string, setting: LinkSetting): void => {
		clearTimeout(flaps.get(link)?.timer);
		flaps.delete(link);
		const {flap, carrier} = setting;
		if (flap === undefined || stopped) {
			return;
		}

		const flapping: {readonly setting: LinkSetting; timer?: NodeJS.Timeout} = {setting};
		flaps.set(link, flapping);
		if (!still) {
			flapping.timer = setTimeout(() => {
				// A machine that has ended, or a fabric that has failed, is told of by who watches it.
				void inTurn(async () => flaps.get(link) === flapping && make({kind: 'carrier', link, carrier: carrier === 'up' ? 'down' : 'up', flap})).catch(() => {});
			}, flap[carrier]);
		}
	};

	return {
		report: async () => fabric.links(),
		change: async (change) => inTurn(async () => make(change)),
		takeUp: async (machine) => inTurn(async () => {
			for (const report of (await fabric.links()).filter((each) => machine === undefined || each.machine === machine)) {
				const {link, carrier, flap} = report;
				tellDifference(link, showReport(report));
				if (carrier === 'down') {
					await tellMachine(link, carrier);
				}

				if (flap !== undefined) {
					follow(link, {carrier, flap, impairments: []});
				}
			}
		}),
		unchanged: async (use) => inTurn(async () => {
			still = true;
			for (const {timer} of flaps.values()) {
				clearTimeout(timer);
			}

			try {
				return await use();
			} finally {
				still = false;
				for (const [link, {setting}] of [...flaps]) {
					follow(link, setting);
				}
			}
		}),
		stop() {
			stopped = true;
			for (const {timer} of flaps.values()) {
				clearTimeout(timer);
			}

			flaps.clear();
		},
	};
}
