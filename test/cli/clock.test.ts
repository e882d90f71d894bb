import test from 'ava';
import {parseClock} from '../../lab/cli/clock.ts';
import {LabError} from '../../lab/host/error.ts';

test('the clock of a fork goes on, is the host\'s, or jumps ahead', (t) => {
	t.is(parseClock('frozen'), undefined);
	t.is(parseClock('host'), 'host');
	t.deepEqual(parseClock('720h'), {ahead: 720 * 3_600_000});
});

test('another clock is refused with what it may be', (t) => {
	const error = t.throws(() => parseClock('yesterday'), {instanceOf: LabError});
	t.is(error.exitCode, 2);
	t.regex(error.message, /frozen, host, or a duration/);
});
