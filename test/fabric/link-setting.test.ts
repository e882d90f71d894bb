import test from 'ava';
import {changedSetting, type LinkSetting, plainLink} from '../../lab/fabric/link-setting.ts';
import type {Impairment} from '../../lab/spec/impairment.ts';

const link = 'node-1@cluster';
const all: Impairment = {direction: 'to', loss: 0.05};
const tcp: Impairment = {direction: 'to', match: {protocol: 'tcp'}, cut: true};
const udp: Impairment = {direction: 'to', match: {protocol: 'udp'}, cut: true};
const back: Impairment = {direction: 'from', delay: 20};

const impair = (setting: LinkSetting, ...impairments: Impairment[]): LinkSetting => changedSetting(setting, {kind: 'impair', link, impairments});

test('what matches comes before what is for all, the newest first', (t) => {
	t.deepEqual(impair(plainLink, all, tcp, back, udp).impairments, [udp, tcp, all, back]);
});

test('an impairment takes the place of the one for the same frames, and is not mixed with it', (t) => {
	const before = impair(plainLink, all, tcp, udp);
	const other: Impairment = {direction: 'to', match: {protocol: 'tcp'}, delay: 5};
	t.deepEqual(impair(before, other).impairments, [udp, other, all]);
	t.deepEqual(impair(before, {direction: 'to', delay: 1}).impairments, [udp, tcp, {direction: 'to', delay: 1}]);
});

test('clearing takes one direction, or all and the carrier\'s state', (t) => {
	const before: LinkSetting = {...impair(plainLink, all, tcp, back), carrier: 'down', flap: {up: 100, down: 100}};
	t.deepEqual(changedSetting(before, {kind: 'clear', link, direction: 'to'}), {...before, impairments: [back]});
	t.deepEqual(changedSetting(before, {kind: 'clear', link}), plainLink);
});

test('a carrier is set without the impairments, and one that is set for good flaps no longer', (t) => {
	const before = impair(plainLink, all);
	const flapping = changedSetting(before, {kind: 'carrier', link, carrier: 'up', flap: {up: 500, down: 200}});
	t.deepEqual(flapping, {carrier: 'up', flap: {up: 500, down: 200}, impairments: [all]});
	t.deepEqual(changedSetting(flapping, {kind: 'carrier', link, carrier: 'down'}), {carrier: 'down', impairments: [all]});
	t.deepEqual(changedSetting(flapping, {kind: 'put', link, setting: before}), before);
});
