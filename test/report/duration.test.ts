import test from 'ava';
import {formatBytes, formatSeconds} from '../../lab/report/duration.ts';

test('Seconds read like a person would say them', (t) => {
	t.deepEqual([0, 0.34, 9.96, 59.4, 59.6, 61, 200, 3600, 7323].map((seconds) => formatSeconds(seconds)), ['0.0 s', '0.3 s', '10 s', '59 s', '1 min', '1 min 1 s', '3 min 20 s', '1 h 0 min', '2 h 2 min']);
});

test('Bytes are in powers of 1024', (t) => {
	t.deepEqual([0, 1023, 1024, 5 * 1024 ** 2, 600_000_000, 3 * 1024 ** 3].map((bytes) => formatBytes(bytes)), ['0 B', '1023 B', '1.0 KiB', '5.0 MiB', '572 MiB', '3.0 GiB']);
});
