import test from 'ava';
import {bitsPerSecond, bytes, milliseconds, proportion, showDuration, showProportion, showRate, showSize} from '../../lab/spec/units.ts';

test('durations are milliseconds', (t) => {
	t.is(milliseconds('500ms'), 500);
	t.is(milliseconds('90s'), 90_000);
	t.is(milliseconds('1.5m'), 90_000);
	t.is(milliseconds('2h'), 7_200_000);
	t.is(milliseconds('0ms'), 0);
	t.throws(() => milliseconds('0.4ms'), {code: 'bad-value'});
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

test('rates are bits per second, in powers of 1000, as tc writes them', (t) => {
	t.is(bitsPerSecond('9600bit'), 9600);
	t.is(bitsPerSecond('512Kbit'), 512_000);
	t.is(bitsPerSecond('10mbit'), 10_000_000);
	t.is(bitsPerSecond('1.5Gbit'), 1_500_000_000);
	for (const text of ['10', '10Mbps', '10MBit', 'Mbit', '0bit', '0.1bit']) {
		t.throws(() => bitsPerSecond(text), {code: 'bad-value'}, text);
	}
});

test('percentages are numbers from 0 to 1', (t) => {
	t.is(proportion('5%'), 0.05);
	t.is(proportion('0.1%'), 0.001);
	t.is(proportion('100%'), 1);
	for (const text of ['5', '%', '100.1%', '-1%', '5 %']) {
		t.throws(() => proportion(text), {code: 'bad-value'}, text);
	}
});

test('numbers are shown in the unit that suits them', (t) => {
	t.deepEqual([0, 20, 999, 1000, 1500, 90_000].map(showDuration), ['0ms', '20ms', '999ms', '1s', '1.5s', '90s']);
	t.deepEqual([500, 1000, 512_000, 10_000_000, 1_500_000_000].map(showRate), ['500bit', '1Kbit', '512Kbit', '10Mbit', '1.5Gbit']);
	t.deepEqual([512, 1024, 262_144, 1024 ** 3].map(showSize), ['512bytes', '1KiB', '256KiB', '1GiB']);
	t.deepEqual([0.05, 0.001, 1, 0.07].map(showProportion), ['5%', '0.1%', '100%', '7%']);
});
