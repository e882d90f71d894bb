import test from 'ava';
import {ageingTime, longestSwitchedFrame, mostAddresses, switchTable, type SwitchTable, type Verdict, wireTable} from '../../lab/fabric/switch.ts';
import {ethernetFrame, everybody} from './ethernet-frame.ts';

const [a, b, c] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:00:0c'];

function decide(table: SwitchTable, to: string, from: string, port: number, now = 0): Verdict {
	const frame = ethernetFrame(to, from);
	// Somewhere in a buffer, as frames are.
	return table.decide(Buffer.concat([Buffer.alloc(7), frame]), 7, 7 + frame.length, port, now);
}

test('a frame for an unknown station goes to all other ports', (t) => {
	t.is(decide(switchTable(), b, a, 0), 'flood');
});

test('a frame for a known station goes to its port alone', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 1);
	t.is(decide(table, b, a, 0), 1);
	t.is(decide(table, a, b, 1), 0);
});

test('a broadcast and a multicast are flooded, and nobody is learnt by a group address', (t) => {
	const table = switchTable();
	t.is(decide(table, everybody, a, 0), 'flood');
	t.is(decide(table, '33:33:00:00:00:01', a, 0), 'flood');
	t.is(table.size, 1);
	decide(table, a, '33:33:00:00:00:01', 1);
	t.is(table.size, 1);
});

test('a frame for a station on its own port goes nowhere', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 0);
	t.is(decide(table, b, a, 0), 'same-port');
});

test('a station that moves is found at its new port', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 1);
	decide(table, everybody, b, 2);
	t.is(decide(table, b, a, 0), 2);
});

test('a station that is silent for long is forgotten', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 1, 0);
	t.is(decide(table, b, a, 0, ageingTime), 1);
	t.is(decide(table, b, a, 0, ageingTime + 1), 'flood');
});

test('the stations of a port are forgotten with it', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 1);
	decide(table, everybody, c, 2);
	table.forget(1);
	t.is(decide(table, b, a, 0), 'flood');
	t.is(decide(table, c, a, 0), 2);
});

test('a table goes on from the stations of another: with their ports, and as old as they were', (t) => {
	const before = switchTable();
	decide(before, everybody, b, 1, 1000);
	decide(before, everybody, c, 2, 4000);
	const stations = before.stations(5000);
	t.deepEqual(stations, [{address: 0x02_00_00_00_00_0b, port: 1, age: 4000}, {address: 0x02_00_00_00_00_0c, port: 2, age: 1000}]);
	// By another clock, which is younger than the stations are old.
	const now = 100;
	const after = switchTable(stations, now);
	t.is(after.size, 2);
	t.is(decide(after, b, a, 0, now), 1);
	t.is(decide(after, b, a, 0, now + ageingTime - 4000), 1);
	t.is(decide(after, b, a, 0, now + ageingTime - 4000 + 1), 'flood');
	t.is(decide(after, c, a, 0, now + ageingTime - 4000 + 1), 2);
	t.is(before.size, 2, 'the other one has its own still');
});

test('a station that is seen again is young again for who goes on from it', (t) => {
	const table = switchTable();
	decide(table, everybody, b, 1, 0);
	decide(table, everybody, b, 1, 7000);
	t.deepEqual(table.stations(7000), [{address: 0x02_00_00_00_00_0b, port: 1, age: 0}]);
});

test('a machine that makes up addresses does not fill the table beyond its limit, nor for ever', (t) => {
	const table = switchTable();
	const made = (index: number): string => `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
	for (let index = 0; index < mostAddresses + 100; index++) {
		decide(table, everybody, made(index), 0, 1);
	}

	t.is(table.size, mostAddresses);
	decide(table, everybody, '06:00:00:00:00:01', 1, ageingTime + 2);
	t.is(table.size, 1);
});

test('a frame without a whole header, and one beyond any jumbo frame, go nowhere', (t) => {
	const table = switchTable();
	t.is(table.decide(Buffer.alloc(13), 0, 13, 0, 0), 'runt');
	t.is(table.decide(Buffer.alloc(0), 0, 0, 0, 0), 'runt');
	const long = Buffer.alloc(longestSwitchedFrame + 1, 0xff);
	t.is(table.decide(long, 0, long.length, 0, 0), 'giant');
	t.is(table.size, 0);
	t.is(wireTable().decide(long, 0, long.length, 0, 0), 'giant');
});

test('a wire carries all to its other end, whomever it is for', (t) => {
	const wire = wireTable();
	t.is(decide(wire, b, a, 0), 1);
	t.is(decide(wire, everybody, b, 1), 0);
	t.is(decide(wire, a, a, 0), 1);
	t.is(wire.size, 0);
});
