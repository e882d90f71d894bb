import test from 'ava';
import {cure} from '../../lab/cli/cure.ts';
import type {Distribution} from '../../lab/host/distribution.ts';
import {withPrograms} from '../rig/programs.ts';

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

test.serial('where Go alone is missing, a fresh machine\'s lists are brought up to date before they are asked for it', async (t) => {
	const policy = 'golang-1.26-go:\\n  Installed: (none)\\n  Candidate: 1.26.1-1\\n';
	const programs = {'apt-get': '[ "$1" = update ] && : >updated; true', 'apt-cache': `[ -e updated ] && printf '${policy}'; true`, sudo: 'shift; exec "$@"'};
	await withPrograms(programs, async (log) => {
		const go = {id: 'go', status: 'problem', text: 'Go is not installed', advice: 'Install Go 1.26.', packages: ['golang-1.26-go']} as const;
		t.true(await cure([go], {signal, distribution: {name: 'Debian GNU/Linux 13 (trixie)', family: 'debian', codename: 'trixie'}, say() {}}));
		t.regex((await log()).filter((line) => line.startsWith('apt-')).join('\n'), /^apt-get update.*\napt-cache policy golang-1\.26-go\n[^]*apt-get install .*golang-1\.26-go$/);
	});
});

test.serial('of the packages of Go the one is installed that has the version, or one that fetches it; none that cannot', async (t) => {
	const go = {id: 'go', status: 'problem', text: 'Go is not installed', advice: 'Install Go.', packages: ['golang-1.26-go', 'golang-go']} as const;
	const policyOf = (versions: Record<string, string>): string => Object.entries(versions).map(([name, version]) => String.raw`${name}:\n  Installed: (none)\n  Candidate: ${version}\n`).join('');
	for (const [versions, installed] of [
		[{'golang-1.26-go': '1.26.1-1', 'golang-go': '2:1.26~1'}, 'golang-1.26-go'],
		[{'golang-1.26-go': '(none)', 'golang-go': '2:1.24~2'}, 'golang-go'],
		[{'golang-go': '2:1.19~1'}, undefined],
	] as Array<[Record<string, string>, string | undefined]>) {
		await withPrograms({'apt-get': 'true', 'apt-cache': `printf '${policyOf(versions)}'`, sudo: 'shift; exec "$@"'}, async (log) => {
			t.is(await cure([go], {signal, distribution: {name: 'Debian GNU/Linux 13 (trixie)', family: 'debian', codename: 'trixie'}, say() {}}), installed !== undefined);
			t.is((await log()).map((line) => /^apt-get install .* (\S+)$/.exec(line)?.[1]).find((name) => name !== undefined), installed);
		});
	}
});
