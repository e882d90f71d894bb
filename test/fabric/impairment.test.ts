import test from 'ava';
import {keyOf} from '../../lab/fabric/generator.ts';
import {corrupted, decide, type Fate, noProgress, type Progress} from '../../lab/fabric/impairment.ts';
import type {Impairment} from '../../lab/spec/impairment.ts';

const count = 50_000;

function fates(impairment: Omit<Impairment, 'direction'>, {seed = 0, from = noProgress, frames = count}: {seed?: number; from?: Progress; frames?: number} = {}): {all: Fate[]; last: Progress} {
	const key = keyOf(seed, 'node-1@cluster', 'to');
	const all: Fate[] = [];
	let last = from;
	for (let index = 0; index < frames; index++) {
		const {fate, progress} = decide({direction: 'to', ...impairment}, key, last);
		all.push(fate);
		last = progress;
	}

	return {all, last};
}

const share = (all: readonly Fate[], is: (fate: Fate) => boolean): number => all.filter(is).length / all.length;
/** Five deviations of what happens to that proportion of so many. */
const tolerance = (proportion: number, of = count): number => 5 * Math.sqrt(proportion * (1 - proportion) / of);
const isNear = (found: number, wanted: number, of = count): boolean => Math.abs(found - wanted) <= tolerance(wanted, of);

test('without anything every frame passes at once', (t) => {
	t.true(fates({}, {frames: 100}).all.every(({lost, delay, ahead, copyDelay, corruptAt}) => !lost && delay === 0 && !ahead && copyDelay === undefined && corruptAt === undefined));
});

test('as many frames are lost, come twice, are corrupted and go ahead as is said', (t) => {
	for (const loss of [0.001, 0.05, 0.5]) {
		const found = share(fates({loss}).all, ({lost}) => lost);
		t.true(isNear(found, loss), `${found} of ${loss}`);
	}

	const {all} = fates({duplicate: 0.1, corrupt: 0.02, reorder: 0.25, delay: 10});
	t.true(isNear(share(all, ({copyDelay}) => copyDelay !== undefined), 0.1));
	t.true(isNear(share(all, ({corruptAt}) => corruptAt !== undefined), 0.02));
	t.true(isNear(share(all, ({ahead}) => ahead), 0.25));
	// Each by words of its own.
	t.true(isNear(share(all, ({copyDelay, corruptAt}) => copyDelay !== undefined && corruptAt !== undefined), 0.002));
});

test('all and nothing are exact', (t) => {
	t.is(share(fates({loss: 1}).all, ({lost}) => lost), 1);
	t.is(share(fates({loss: 0}).all, ({lost}) => lost), 0);
	t.is(share(fates({duplicate: 1}).all, ({copyDelay}) => copyDelay === 0), 1);
});

test('losses are independent of each other', (t) => {
	const {all} = fates({loss: 0.2});
	const pairs = all.slice(1).map((fate, index) => [all[index]!.lost, fate.lost] as const);
	t.true(isNear(pairs.filter(([one, other]) => one && other).length / pairs.length, 0.04));
});

/** The lengths of the runs of lost frames. */
function runsOf(all: readonly Fate[]): number[] {
	return all.map(({lost}) => (lost ? 'x' : '.')).join('').split('.').filter((run) => run !== '').map((run) => run.length);
}

test('bursts are as long, and as many frames are lost, as Gilbert and Elliott say', (t) => {
	const [enter, leave] = [0.01, 0.2];
	const {all} = fates({burst: {enter, leave, loss: 1}});
	const runs = runsOf(all);
	const mean = runs.reduce((sum, run) => sum + run, 0) / runs.length;
	// The deviation of one length is that of a geometric distribution.
	t.true(Math.abs(mean - 1 / leave) < 5 * Math.sqrt(1 - leave) / leave / Math.sqrt(runs.length), `${mean}`);
	const lost = share(all, (fate) => fate.lost);
	t.true(Math.abs(lost - enter / (enter + leave)) < 0.01, `${lost}`);
	// As much loss without bursts comes in runs that are hardly longer than one.
	const apart = runsOf(fates({loss: enter / (enter + leave)}).all);
	t.true(apart.reduce((sum, run) => sum + run, 0) / apart.length < 1.2);
});

test('within a burst, and outside of it, as much is lost as is said of each', (t) => {
	const {all} = fates({loss: 0.1, burst: {enter: 0.5, leave: 0.5, loss: 0.6}});
	const found = share(all, ({lost}) => lost);
	t.true(Math.abs(found - 0.35) < 0.02, `${found}`);
});

test('delays vary evenly within the jitter, and never below nothing', (t) => {
	const {all} = fates({delay: 20, jitter: 5});
	const delays = all.map(({delay}) => delay);
	t.true(Math.min(...delays.slice(0, 10_000)) >= 15 && Math.max(...delays.slice(0, 10_000)) < 25);
	const mean = delays.reduce((sum, delay) => sum + delay, 0) / count;
	t.true(Math.abs(mean - 20) < 5 * 5 / Math.sqrt(3 * count), `${mean}`);
	t.true(isNear(share(all, ({delay}) => delay < 17.5), 0.25));
	t.true(fates({delay: 2, jitter: 10}).all.every(({delay}) => delay >= 0));
	t.true(fates({delay: 20}).all.every(({delay}) => delay === 20));
	t.true(fates({delay: 20, jitter: 5, reorder: 0.5}).all.every(({delay, ahead}) => (ahead ? delay === 0 : delay >= 15)));
});

const everything: Omit<Impairment, 'direction'> = {loss: 0.05, burst: {enter: 0.02, leave: 0.3, loss: 0.9}, delay: 10, jitter: 5, reorder: 0.1, duplicate: 0.1, corrupt: 0.1};

test('the same seed decides the same again, and another seed otherwise', (t) => {
	const frames = 2000;
	const {all} = fates(everything, {frames});
	t.deepEqual(fates(everything, {frames}).all, all);
	const other = fates(everything, {frames, seed: 1}).all;
	t.true(other.filter(({lost}, index) => lost !== all[index]!.lost).length > 50);
});

test('who goes on from another\'s progress decides as that one would have', (t) => {
	const {all} = fates(everything, {frames: 1000});
	const {last} = fates(everything, {frames: 400});
	t.deepEqual(fates(everything, {frames: 600, from: JSON.parse(JSON.stringify(last)) as Progress}).all, all.slice(400));
});

test('what else is set does not change which frames are lost', (t) => {
	const lost = (impairment: Omit<Impairment, 'direction'>): boolean[] => fates(impairment, {frames: 2000}).all.map((fate) => fate.lost);
	t.deepEqual(lost({loss: 0.1, delay: 5, corrupt: 0.5}), lost({loss: 0.1}));
});

test('a corrupted frame is a copy with one bit turned, behind its Ethernet header', (t) => {
	const frame = Buffer.alloc(70, 0x5a);
	const before = Buffer.from(frame);
	for (const place of [0, 0.3, 0.999_999_9]) {
		// With four bytes before it, within a longer buffer.
		const copy = corrupted(frame, 2, 66, 6, place);
		t.deepEqual(frame, before);
		const changes = [...copy].flatMap((byte, index) => (byte === 0x5a ? [] : [[index, byte ^ 0x5a]]));
		t.is(changes.length, 1);
		t.true(changes[0]![0]! >= 18 && changes[0]![0]! < 64);
		t.is(Math.log2(changes[0]![1]!) % 1, 0);
	}

	t.deepEqual(corrupted(frame, 0, 18, 4, 0.5), frame.subarray(0, 18), 'there is nothing behind it');
	t.deepEqual(corrupted(frame, 0, 10, 4, 0.5), frame.subarray(0, 10));
});
