/** A link: what joins one machine's NIC to one network. The one place where a frame crosses between a port and its network. */
import {type Carrier, type Impairment, type LinkDirection, linkDirections, linkName} from '../spec/impairment.ts';
import {countDroppedIn, countDroppedOut, type DropReason, type Drops} from './counters.ts';
import {type Effects, type ImpairedPath, openPath, type WaitingFrame} from './impaired-path.ts';
import {type LinkSetting, plainLink, showSetting} from './link-setting.ts';
import type {FrameHandler, Port} from './port.ts';

/** One machine's link. */
export interface Link {
	/** Takes a frame from the machine, with its header, into the network. */
	readonly fromMachine: FrameHandler;
	/** Takes a frame for the machine, with its header, to its port; `flush` must follow. The buffer must not be changed afterwards. */
	readonly toMachine: FrameHandler;
	/** Does all go to the machine at once, since nothing is set in that direction and nothing waits? Then `hand` may be called. */
	readonly isPlainToMachine: boolean;
	/** As `toMachine`, without telling anybody of it. Gives why the frame was dropped, where it was. */
	hand(buffer: Buffer, start: number, end: number): DropReason | undefined;
	/** What is set on it, with how far each impairment is. */
	readonly setting: LinkSetting;
	/** Sets it. Frames that wait go on when they would have. */
	put(setting: LinkSetting): void;
	/** Lets go what has waited long enough; a flush must follow. */
	release(): void;
	/** When the next frame has, in milliseconds of the network's clock; undefined where none waits. */
	readonly due: number | undefined;
	/** What it is, for another link to go on from; undefined where nothing is set and nothing waits. */
	state(): LinkState | undefined;
	report(): LinkReport;
}

/** What a link is at one moment, as JSON has it. */
export interface LinkState {
	readonly machine: string;
	readonly setting: LinkSetting;
	readonly waiting: readonly WaitingFrame[];
}

/** What is set on one direction of a link, and what became of its frames. */
export interface DirectionReport extends Readonly<Effects> {
	/** In the order in which they are tried; `frames` is how many each has been applied to. */
	readonly impairments: ReadonlyArray<Impairment & {readonly frames: number}>;
	/** Frames that the machine sent, or got. */
	readonly frames: number;
	readonly bytes: number;
	/** Frames that went no further, by reason. */
	readonly dropped: Drops;
	/** Frames that wait now. */
	readonly waiting: number;
}

/** What is told of a link. */
export interface LinkReport extends Readonly<Record<LinkDirection, DirectionReport>> {
	/** 'node-1@cluster' */
	readonly link: string;
	readonly machine: string;
	readonly network: string;
	readonly carrier: Carrier;
	/** Milliseconds. */
	readonly flap?: {readonly up: number; readonly down: number};
}

/** What is wrong with a link by its report, in words, as `showSetting` has them. */
export function showReport(report: LinkReport): string[] {
	return showSetting({...report, impairments: linkDirections.flatMap((direction) => report[direction].impairments)});
}

/** Where the frames of a link go. */
export interface LinkEnds {
	readonly machine: string;
	readonly network: string;
	readonly port: Port;
	/** Milliseconds, of a clock that does not go back, and stands still while the network is held. */
	readonly now: () => number;
	/** Takes what has crossed from the machine. */
	readonly enter: FrameHandler;
	/** Called when the port was given a frame, which is to be flushed. */
	readonly onDelivered: () => void;
	/** Told that a frame waits until then: `release` must be called. */
	readonly wake: (due: number) => void;
	/** Told of frames, with their headers, that went to the machine (`to`), and with why of those that did not cross in either direction. */
	readonly record?: ((direction: LinkDirection, buffer: Buffer, start: number, end: number, reason?: DropReason) => void) | undefined;
}

/** Makes a link, which goes on from a state where there is one. Where nothing is set, all passes at once. */
export function openLink({machine, network, port, now, enter, onDelivered, wake, record}: LinkEnds, state?: Pick<LinkState, 'setting' | 'waiting'>): Link {
	const name = linkName(machine, network);
	const {counters} = port;
	let setting = plainLink;
	/** Of the directions on which something is set, or frames wait. */
	let from: ImpairedPath | undefined;
	let to: ImpairedPath | undefined;
	const effects = {from: {corrupted: 0, duplicated: 0, reordered: 0}, to: {corrupted: 0, duplicated: 0, reordered: 0}};

	const hand = (buffer: Buffer, start: number, end: number): DropReason | undefined => {
		const reason = port.deliver(buffer, start, end);
		onDelivered();
		return reason;
	};

	const deliver: FrameHandler = (buffer, start, end) => {
		const reason = hand(buffer, start, end);
		record?.('to', buffer, start, end, reason);
	};

	const open = (direction: LinkDirection, waiting: readonly WaitingFrame[] = []): ImpairedPath => openPath({
		link: name, direction, now, wake, effects: effects[direction], pass: direction === 'from' ? enter : deliver,
		drop(reason, buffer, start, end) {
			(direction === 'from' ? countDroppedIn : countDroppedOut)(counters, reason);
			record?.(direction, buffer, start, end, reason);
		},
	}, setting, waiting);

	const isNeeded = (direction: LinkDirection, path: ImpairedPath): boolean =>
		path.waiting > 0 || setting.carrier === 'down' || setting.impairments.some((impairment) => impairment.direction === direction);

	/** The path of a direction for what is set now; undefined where none is needed. */
	const settled = (direction: LinkDirection, path: ImpairedPath | undefined): ImpairedPath | undefined => {
		path?.set(setting);
		const opened = path ?? open(direction);
		return isNeeded(direction, opened) ? opened : undefined;
	};

	const current = (): LinkSetting => ({
		...setting,
		impairments: setting.impairments.map((impairment) => {
			const progress = (impairment.direction === 'from' ? from : to)?.progressOf(impairment) ?? impairment.progress;
			return progress === undefined ? impairment : {...impairment, progress};
		}),
	});

	const put = (next: LinkSetting): void => {
		setting = next;
		from = settled('from', from);
		to = settled('to', to);
	};

	if (state !== undefined) {
		setting = state.setting;
		from = settled('from', open('from', state.waiting.filter(({direction}) => direction === 'from')));
		to = settled('to', open('to', state.waiting.filter(({direction}) => direction === 'to')));
	}

	const reportOf = (direction: LinkDirection): DirectionReport => {
		const isFrom = direction === 'from';
		return {
			impairments: current().impairments.filter((impairment) => impairment.direction === direction).map(({progress, ...impairment}) => ({...impairment, frames: progress?.frames ?? 0})),
			frames: isFrom ? counters.framesIn : counters.framesOut,
			bytes: isFrom ? counters.bytesIn : counters.bytesOut,
			dropped: {...(isFrom ? counters.dropsIn : counters.dropsOut)},
			...effects[direction],
			waiting: (isFrom ? from : to)?.waiting ?? 0,
		};
	};

	return {
		fromMachine(buffer, start, end) {
			if (from === undefined) {
				enter(buffer, start, end);
			} else {
				from.take(buffer, start, end);
			}
		},
		toMachine(buffer, start, end) {
			if (to === undefined) {
				deliver(buffer, start, end);
			} else {
				to.take(buffer, start, end);
			}
		},
		get isPlainToMachine() {
			return to === undefined;
		},
		hand,
		get setting() {
			return current();
		},
		put,
		release() {
			from?.release();
			to?.release();
			// Paths that were kept for the frames that waited there are not needed any more.
			from = from !== undefined && isNeeded('from', from) ? from : undefined;
			to = to !== undefined && isNeeded('to', to) ? to : undefined;
		},
		get due() {
			const due = Math.min(from?.due ?? Infinity, to?.due ?? Infinity);
			return due === Infinity ? undefined : due;
		},
		state() {
			const waiting = [...from?.frames() ?? [], ...to?.frames() ?? []];
			const isPlain = setting.carrier === 'up' && setting.flap === undefined && setting.impairments.length === 0;
			return isPlain && waiting.length === 0 ? undefined : {machine, setting: current(), waiting};
		},
		report() {
			const {carrier, flap} = setting;
			return {link: name, machine, network, carrier, ...(flap !== undefined && {flap}), ...Object.fromEntries(linkDirections.map((direction) => [direction, reportOf(direction)])) as Record<LinkDirection, DirectionReport>};
		},
	};
}
