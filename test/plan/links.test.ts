import test from 'ava';
import {impairedLinks, linkNames} from '../../lab/plan/links.ts';
import {layOut} from '../../lab/plan/machines.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';

const {machines} = layOut({machines: {node: {count: 2}, router: {count: 1}}, overlays: []});
const linksOf = (links: NonNullable<LabDeclaration['links']>) => impairedLinks({links}, machines);

test('a machine has a link to each of its networks', (t) => {
	t.deepEqual(linkNames(machines), ['node-1@cluster', 'node-2@cluster', 'router-1@cluster', 'router-1@external']);
});

test('impairments of links are told in numbers', (t) => {
	t.deepEqual(linksOf({'router-1@external': [{direction: 'to', delay: '20ms'}], 'node-1@cluster': []}), {links: [{link: 'router-1@external', impairments: [{direction: 'to', delay: 20}]}], problems: []});
	t.deepEqual(impairedLinks({}, machines), {links: [], problems: []});
});

test('an unknown link is told, with the one that was likely meant, else with all', (t) => {
	t.deepEqual(linksOf({'node-1@clutser': [{cut: true}]}).problems, ['links: there is no link `node-1@clutser`; did you mean `node-1@cluster`?']);
	t.regex(linksOf({zebra: [{cut: true}]}).problems[0]!, /known are node-1@cluster, node-2@cluster, router-1@cluster, router-1@external$/);
});

test('two impairments of the same frames are one too many', (t) => {
	t.deepEqual(linksOf({'node-1@cluster': [{loss: '5%'}, {direction: 'to', delay: '5ms'}]}).problems, [
		'links: `node-1@cluster` has two impairments of the same frames to the machine; put them into one, or give one of them another `match`',
	]);
	t.deepEqual(linksOf({'node-1@cluster': [{direction: 'from', loss: '5%'}, {direction: 'to', delay: '5ms'}, {match: {protocol: 'tcp'}, cut: true}]}).problems, []);
});
