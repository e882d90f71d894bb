import test from 'ava';
import {bytes, milliseconds} from '../../lab/spec/units.ts';

test('durations are milliseconds', (t) => {
	t.is(milliseconds('500ms'), 500);
	t.is(milliseconds('90s'), 90_000);
	t.is(milliseconds('1.5m'), 90_000);
	t.is(milliseconds('2h'), 7_200_000);
});

test('sizes are bytes, in powers of 1024', (t) => {
	t.is(bytes('1KiB'), 1024);
	t.is(bytes('512MiB'), 536_870_912);
	t.is(bytes('1.5GiB'), 1_610_612_736);
});

test('a value without a unit, or with another one, is refused', (t) => {
	for (const text of ['90', 's', '-1s', '1 s', '1d', '1e3s', '']) {
		t.throws(() => milliseconds(text), {code: 'bad-value'}, text);
	}

	for (const text of ['2GB', '2G', '2', 'GiB', '2gib']) {
		t.throws(() => bytes(text), {code: 'bad-value'}, text);
	}
});
