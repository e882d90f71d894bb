import test from 'ava';
import {cure} from '../../lab/cli/cure.ts';
import type {Distribution} from '../../lab/host/distribution.ts';

const distribution: Distribution = {name: 'Fedora Linux 43', family: 'fedora'};
const {signal} = new AbortController();

test('what vmlab cannot do without stops it where it cannot be installed', async (t) => {
	await t.throwsAsync(cure([
		{id: 'cpio', status: 'problem', text: 'cpio is not installed', advice: 'Install the package cpio.', packages: ['cpio']},
		{id: 'curl', status: 'warning', text: 'curl is not installed', advice: 'Install the package curl.', packages: ['curl']},
	], {signal, distribution, say() {}}), {code: 'install-by-hand'});
});

test('what it can do without does not', async (t) => {
	const said: string[] = [];
	t.false(await cure([{id: 'curl', status: 'warning', text: 'curl is not installed', advice: 'Install the package curl.', packages: ['curl']}], {signal, distribution, say: (text) => said.push(text)}));
	t.regex(said.join('\n'), /goes on too.*dnf install curl/);
});

test('where nothing is missing nothing is done', async (t) => {
	t.false(await cure([{id: 'qemu', status: 'ok', text: 'QEMU 7.2'}], {signal, distribution, say: t.fail}));
});
