/**
 * `npm run bench [-- --only NAME --json FILE --minutes N]`: what vmlab promises in figures. Each ratio is taken within this run, side by
 * side, since one computer differs more from itself an hour later than the things that are compared. Rows that take very long are measured only when they are named.
 */
import {writeFile} from 'node:fs/promises';
import {parseArgs} from 'node:util';
import {formatTable} from '../../lab/cli/output.ts';
import {measureCluster, measureSsh} from './boots.ts';
import {measureHelp, measurePlan, measureRunAll, measureSecondRun} from './commands.ts';
import {measureFabricAlone} from './fabric-alone.ts';
import {measureFabricPair} from './fabric-pair.ts';
import {measureFabricScale} from './fabric-scale.ts';
import {measureForks} from './forks.ts';
import type {BenchOptions, Row, RowSink} from './measure.ts';
import {measureNat64} from './nat64.ts';
import {measureSmallForks} from './small-forks.ts';

/** Row names -> what measures them; rows of one lab are measured in one boot. */
const groups: ReadonlyArray<{
	readonly rows: readonly string[];
	/** Of these, the ones that are measured only when they are named. */
	readonly onlyNamed?: readonly string[];
	readonly measure: (wanted: ReadonlySet<string>, found: RowSink, options: BenchOptions) => Promise<void>;
}> = [
	{rows: ['help'], measure: measureHelp},
	{rows: ['plan-warm'], measure: measurePlan},
	{rows: ['second-run-work'], measure: measureSecondRun},
	{rows: ['power-on-to-ssh'], measure: measureSsh},
	{rows: ['power-on-to-ready', 'power-on-to-service', 'machine-overhead'], measure: measureCluster},
	{rows: ['fork-to-ssh', 'fork-series', 'checkpoint'], measure: measureSmallForks},
	{rows: ['fork-to-step-ratio', 'fork-to-api', 'fork-to-service', 'freeze-standstill', 'fork-memory-ratio', 'frozen-size-ratio', 'forks-side-by-side'], measure: measureForks},
	{rows: ['nat64-throughput'], measure: measureNat64},
	{rows: ['fabric-alone'], measure: measureFabricAlone},
	{
		rows: ['fabric-tcp-ratio', 'fabric-small-ratio', 'fabric-rtt-ratio', 'recorder-cost', 'capture-cost', 'impairment-error', 'fabric-loss'], onlyNamed: ['fabric-loss'],
		measure: measureFabricPair,
	},
	{rows: ['fabric-scale'], measure: measureFabricScale},
	{rows: ['run-all-forked'], measure: measureRunAll},
];
const names = groups.flatMap(({rows}) => rows);

const {values} = parseArgs({options: {only: {type: 'string', multiple: true}, json: {type: 'string'}, minutes: {type: 'string'}}});
const wanted = new Set(values.only ?? groups.flatMap(({rows, onlyNamed = []}) => rows.filter((name) => !onlyNamed.includes(name))));
const unknown = [...wanted].filter((name) => !names.includes(name));
if (unknown.length > 0) {
	process.stderr.write(`There is no row ${unknown.join(', ')}. Known: ${names.join(', ')}.\n`);
	process.exit(2);
}

const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
if (minutes !== undefined && !(minutes > 0)) {
	process.stderr.write(`--minutes cannot be ${values.minutes}: it is a number above 0.\n`);
	process.exit(2);
}

const rows: Row[] = [];
const found: RowSink = async (row) => {
	if (!wanted.has(row.name)) {
		return;
	}

	rows.push(row);
	if (values.json !== undefined) {
		await writeFile(values.json, `${JSON.stringify(rows, undefined, '\t')}\n`);
	}
};

for (const group of groups) {
	if (group.rows.some((name) => wanted.has(name))) {
		process.stderr.write(`measuring ${group.rows.filter((name) => wanted.has(name)).join(', ')}\n`);
		await group.measure(wanted, found, {minutes});
	}
}

process.stdout.write(formatTable({
	columns: ['ROW', 'VALUE', 'GOAL', 'MET', 'COMPARED'],
	rows: rows.map(({name, value, unit, goal, met, compared}) => [
		name, `${value} ${unit}`, goal ?? '', met === null ? '' : met ? 'yes' : 'no', Object.entries(compared).map(([what, figure]) => `${what}: ${figure}`).join(', '),
	]),
}));
