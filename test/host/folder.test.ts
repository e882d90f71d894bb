import {existsSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {folders, packageFolder} from '../../lab/host/folder.ts';

test('folders follow XDG', (t) => {
	t.like(folders({HOME: '/home/someone'}), {
		cache: '/home/someone/.cache/vmlab', state: '/home/someone/.local/state/vmlab',
	});
	t.like(folders({HOME: '/home/someone', XDG_CACHE_HOME: '/c', XDG_STATE_HOME: '/s'}), {cache: '/c/vmlab', state: '/s/vmlab'});
});

test('relative XDG folders are ignored, as the specification asks for', (t) => {
	t.is(folders({HOME: '/home/someone', XDG_CACHE_HOME: 'c'}).cache, '/home/someone/.cache/vmlab');
});

test('VMLAB_CACHE_DIR and VMLAB_STATE_DIR win', (t) => {
	t.like(folders({HOME: '/h', VMLAB_CACHE_DIR: '/x', VMLAB_STATE_DIR: '/y', XDG_CACHE_HOME: '/c'}), {cache: '/x', state: '/y'});
});

test('the package is found', (t) => {
	t.true(existsSync(path.join(packageFolder, 'lab/host/folder.ts')));
});
