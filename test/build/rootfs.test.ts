import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {imageRequest} from '../../lab/build/image.ts';
import {explainRootfs, rootfsCommand, rootfsStep, uuidOf, writeConfiguration} from '../../lab/build/rootfs.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

const folders = {configuration: '/c', hook: '/c/hook', results: '/r'};
const apt = {sources: ['deb http://mirror.example/debian bookworm main'], settings: ['Acquire::http::Proxy "http://user:secret@proxy.example";']};
const request = imageRequest({
	image: {summary: 'for tests', release: 'bookworm', kernel: 'linux-image-cloud-amd64', packages: [], exclude: ['/usr/share/doc/*'], mask: ['dbus.service'], bootModules: ['erofs']},
	packages: ['systemd', 'iproute2'],
}, apt);

test('packages are installed without recommendations, in a mode that suits the user', t => {
	const command = rootfsCommand(request, 'unshare', folders);
	t.true(command.includes('--mode=unshare'));
	t.true(command.includes('--aptopt=APT::Install-Recommends "false"'));
	t.true(command.includes('--dpkgopt=path-exclude=/usr/share/doc/*'));
	t.regex(command.find((word) => word.startsWith('--include='))!, /=.*\biproute2\b.*\bsystemd\b/);
	t.deepEqual(command.slice(-3), ['bookworm', '-', '/c/sources.list']);
});

test('the order in which packages were named does not matter', t => {
	t.deepEqual(rootfsCommand({...request, packages: [...request.packages, 'systemd'].reverse()}, 'root', folders), rootfsCommand(request, 'root', folders));
});

test('files that packages look for are there before these are installed', t => {
	t.false(rootfsCommand(request, 'root', folders).some((word) => word.startsWith('--essential-hook')));
	t.true(rootfsCommand({...request, marks: ['/etc/one/mark', '/etc/two']}, 'root', folders).includes(
		'--essential-hook=for file in "$1"/etc/one/mark "$1"/etc/two; do mkdir -p "${file%/*}" && : >"$file"; done',
	));
});

test('folders with blanks and quotes get to the hooks whole', t => {
	const command = rootfsCommand(request, 'root', {...folders, hook: '/a b\'c'});
	t.true(command.includes('--customize-hook=sh \'/a b\'\\\'\'c/rootfs.sh\' "$1" \'/a b\'\\\'\'c\''));
});

test('what apt needs to know about proxies is in a file, not on a command line', async t => {
	t.notRegex(rootfsCommand(request, 'root', folders).join(' '), /secret/);
	await withTemporaryFolder(async (folder) => {
		await writeConfiguration(folder, request);
		t.regex(await readFile(path.join(folder, 'apt.conf'), 'utf8'), /secret/);
		t.is(await readFile(path.join(folder, 'hook/mask'), 'utf8'), 'dbus.service\n');
		t.is(await readFile(path.join(folder, 'hook/modules'), 'utf8'), 'erofs\n');
		t.regex(await readFile(path.join(folder, 'hook/settings'), 'utf8'), /^EPOCH=\d+\nUUID=[\da-f-]{36}\n$/);
	});
});

test('a UUID follows from what it is of', t => {
	t.is(uuidOf({a: 1, b: 2}), uuidOf({b: 2, a: 1}));
	t.not(uuidOf('one'), uuidOf('two'));
	t.regex(uuidOf('one'), /^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/);
});

test('progress is what mmdebstrap does, not what it says besides', t => {
	t.is(rootfsStep('I: installing essential packages...'), 'installing essential packages');
	t.is(rootfsStep('Setting up systemd'), undefined);
});

for (const [title, line, hint] of [
	['a package that does not exist', 'E: Unable to locate package teapot', /no such package/],
	['a mirror that is not reached', 'Err:1 http://mirror.example/debian bookworm InRelease Could not connect to mirror.example', /check the network/],
	['a release whose keys are missing', 'W: GPG error: NO_PUBKEY 0E98404D386FA1D9', /debian-archive-keyring/],
	['a host without user namespaces', 'E: newuidmap failed', /uidmap/],
] as const) {
	test(`the error of ${title} says what to do`, t => {
		const error = explainRootfs(failure.programFailed('sh', 'ended with exit code 25', ['Get:1 something', line], '/log'), request);
		t.true(error instanceof LabError);
		const {code, kind, details, hint: shown, log} = error as LabError;
		t.is(code, 'image-failed');
		t.is(kind, 'component');
		t.deepEqual(details, [line]);
		t.regex(shown ?? '', hint);
		t.is(log, '/log');
	});
}

test('interruptions and full disks stay what they are', t => {
	for (const error of [failure.interrupted('SIGINT'), failure.diskFull('/cache'), new Error('something else')]) {
		t.is(explainRootfs(error, request), error);
	}
});
