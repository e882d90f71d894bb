import test from 'ava';
import type {Distribution} from '../../lab/host/distribution.ts';
import {availablePackages, installPackages, refreshPackageLists} from '../../lab/host/install.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {withPrograms} from '../rig/programs.ts';

const debian: Distribution = {name: 'Debian GNU/Linux 12 (bookworm)', family: 'debian', codename: 'bookworm'};
const {signal} = new AbortController();

test.serial('on Debian apt-get installs, after what it will install was said', async (t) => {
	await withPrograms({'apt-get': 'echo "Setting up $5"', sudo: 'shift; exec "$@"'}, async (log) => {
		const said: string[] = [];
		await installPackages(['cpio', 'fakeroot'], {signal, distribution: debian, say: (text) => said.push(text)});
		t.is(said[0], 'Installing with apt-get: cpio fakeroot');
		const calls = (await log()).filter((line) => line.startsWith('apt-get '));
		t.is(calls.length, 2);
		t.regex(calls[0]!, /^apt-get update/);
		t.regex(calls[1]!, /^apt-get install --yes .*--no-install-recommends .*cpio fakeroot$/);
	});
});

test.serial('what apt-get fails with is told', async (t) => {
	await withPrograms({'apt-get': 'echo "E: Unable to locate package $*" >&2; exit 100', sudo: 'shift; exec "$@"'}, async () => {
		const said: string[] = [];
		const error = await t.throwsAsync(installPackages(['cpio'], {signal, distribution: debian, say: (text) => said.push(text)}), {code: 'program-failed'});
		t.like(error, {kind: 'host'});
		t.true(said.some((line) => line.includes('E: Unable to locate package')));
	});
});

test.serial('two that install at once do it one after the other', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await withPrograms({'apt-get': `mkdir '${folder}/busy' || exit 7; sleep 0.2; rmdir '${folder}/busy'`, sudo: 'shift; exec "$@"'}, async (log) => {
			await Promise.all(['cpio', 'fakeroot'].map(async (name) => installPackages([name], {signal, distribution: debian, say() {}})));
			t.is((await log()).filter((line) => line.startsWith('apt-get ')).length, 4);
		});
	});
});

test('on other distributions the packages are named, and nothing is done', async (t) => {
	const error = await t.throwsAsync(installPackages(['qemu-utils', 'cpio'], {signal, distribution: {name: 'Fedora Linux 43', family: 'fedora'}, say: t.fail}), {code: 'install-by-hand'});
	t.like(error, {exitCode: 4, details: ['missing: qemu-img cpio'], hint: 'Install them: `dnf install qemu-img cpio`.'});
});

test('nothing is missing, nothing is done', async (t) => {
	await installPackages([], {signal, distribution: debian, say: t.fail});
	t.pass();
});

test.serial('only packages that the mirrors have are available', async (t) => {
	const policy = 'golang-1.26-go:\\n  Installed: (none)\\n  Candidate: 1.26.1-1~bpo12+1\\n  Version table:\\ngolang-1.27-go:\\n  Installed: (none)\\n  Candidate: (none)\\n';
	await withPrograms({'apt-cache': `printf '${policy}'`}, async () => {
		t.deepEqual([...await availablePackages(['golang-1.26-go', 'golang-1.27-go', 'golang-1.28-go'], signal)], [['golang-1.26-go', '1.26.1-1~bpo12+1']]);
	});
});

test.serial('lists that cannot be brought up to date stay as they are, and that is said', async (t) => {
	await withPrograms({'apt-get': 'echo "E: no network" >&2; exit 100', sudo: 'shift; exec "$@"'}, async () => {
		const said: string[] = [];
		await refreshPackageLists({signal, distribution: debian, say: (text) => said.push(text)});
		t.regex(said.at(-1)!, /They stay as they are/);
	});
});

test('on other distributions there are no lists to bring up to date', async (t) => {
	await refreshPackageLists({signal, distribution: {name: 'Fedora Linux 43', family: 'fedora'}, say: t.fail});
	t.pass();
});
