import test from 'ava';
import {mirrorSettings, parseIndexTargets, sourceLines} from '../../lab/build/image-sources.ts';

const mirror = [
	'http://mirror.example/debian/|bookworm|main|Debian',
	'http://mirror.example/debian/|bookworm-updates|main|Debian',
	'http://mirror.example/debian-security/|bookworm-security|main|Debian',
].join('\n');

test('an image comes from the mirror that the host uses', t => {
	t.deepEqual(sourceLines('bookworm', parseIndexTargets(mirror)), [
		'deb http://mirror.example/debian bookworm main',
		'deb http://mirror.example/debian bookworm-updates main',
		'deb http://mirror.example/debian-security bookworm-security main',
	]);
});

test('the mirror of one release serves the others', t => {
	t.deepEqual(sourceLines('trixie', parseIndexTargets(mirror)), [
		'deb http://mirror.example/debian trixie main',
		'deb http://mirror.example/debian trixie-updates main',
		'deb http://mirror.example/debian-security trixie-security main',
	]);
});

test('repositories that are not Debian\'s are not asked for Debian', t => {
	const targets = parseIndexTargets('https://vendor.example/debian|bookworm|main|Vendor\nhttp://ubuntu.example/ubuntu|noble|main|Ubuntu\n');
	t.deepEqual(sourceLines('bookworm', targets)[0], 'deb http://deb.debian.org/debian bookworm main');
});

test('lists that were never fetched are recognised by their addresses', t => {
	const targets = parseIndexTargets('http://mirror.example/debian|bookworm|main|$(ORIGIN)');
	t.is(targets[0]?.origin, '');
	t.deepEqual(sourceLines('bookworm', targets), ['deb http://mirror.example/debian bookworm main', 'deb http://mirror.example/debian bookworm-updates main']);
});

test('a host without sources asks Debian itself', t => {
	t.deepEqual(sourceLines('trixie', []), [
		'deb http://deb.debian.org/debian trixie main',
		'deb http://deb.debian.org/debian trixie-updates main',
		'deb http://deb.debian.org/debian-security trixie-security main',
	]);
});

test('backports and proposed updates do not decide where the archive is', t => {
	const targets = parseIndexTargets('http://other.example/debian|bookworm-backports|main|Debian\nhttp://mirror.example/debian|bookworm|main|Debian');
	t.is(sourceLines('bookworm', targets)[0], 'deb http://mirror.example/debian bookworm main');
});

test('how the host reaches its mirrors is taken over, and nothing else', t => {
	const dump = [
		'APT::Architecture "amd64";',
		'Acquire::http::Proxy "http://proxy.example:3128";',
		'Acquire::https::Verify-Peer "";',
		'Acquire::Check-Valid-Until "false";',
		'Acquire::GzipIndexes "true";',
		'DPkg::Post-Invoke:: "something";',
	].join('\n');
	t.deepEqual(mirrorSettings(dump), [
		'Acquire::Retries "3";',
		'Acquire::http::Proxy "http://proxy.example:3128";',
		'Acquire::Check-Valid-Until "false";',
	]);
	t.deepEqual(mirrorSettings('Acquire::Retries "7";'), ['Acquire::Retries "7";']);
});
