import {createHash} from 'node:crypto';
import {chmod, mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {makeComponent, type Provenance} from '../../lab/build/component.ts';
import {digestOf} from '../../lab/host/digest.ts';
import type {LabError} from '../../lab/host/error.ts';
import {run} from '../../lab/host/program.ts';
import type {ComponentDeclaration} from '../../lab/spec/component.ts';
import {serveBytes, withFileServer} from '../rig/file-server.ts';
import {withStageWork} from '../rig/stage-work.ts';

const program = '#!/bin/sh\necho one\n';

function sum(bytes: string | Buffer): string {
	return createHash('sha256').update(bytes).digest('hex');
}

function component(more: Partial<ComponentDeclaration> = {}): ComponentDeclaration {
	return {name: 'thing', version: '1.2.3', programs: [{name: 'one', path: '/usr/bin/one'}], ...more};
}

/** Makes the component, and gives its provenance and the names in its folder. */
async function make(declared: ComponentDeclaration, localDigest?: string): Promise<{provenance: Provenance; names: string[]; text: string; mode: number}> {
	return withStageWork(async (work) => {
		await makeComponent({kind: 'component', component: declared, folder: work.folder, ...(localDigest !== undefined && {localDigest})}, work);
		return {
			provenance: JSON.parse(await readFile(path.join(work.out, 'provenance.json'), 'utf8')) as Provenance,
			names: (await readdir(work.out)).sort(),
			text: await readFile(path.join(work.out, 'one'), 'utf8'),
			mode: (await stat(path.join(work.out, 'one'))).mode & 0o777,
		};
	});
}

/** A release of one program, as an archive whose names begin with `./`. */
async function releaseArchive(): Promise<Buffer> {
	return withStageWork(async ({folder}) => {
		await mkdir(path.join(folder, 'release/bin'), {recursive: true});
		await writeFile(path.join(folder, 'release/bin/one'), program);
		await run('tar', ['--create', '--gzip', '--file', path.join(folder, 'release.tgz'), '--directory', path.join(folder, 'release'), '.']);
		return readFile(path.join(folder, 'release.tgz'));
	});
}

function release(url: string, more: Partial<NonNullable<ComponentDeclaration['release']>> = {}): ComponentDeclaration {
	return component({release: {url: `${url}/thing-vVERSION.tgz`, checksumUrl: `${url}/SUMS`, paths: {one: 'bin/one'}, ...more}});
}

test('a release is downloaded, checked and unpacked', async (t) => {
	const archive = await releaseArchive();
	await withFileServer({'/thing-v1.2.3.tgz': archive, '/SUMS': `${'0'.repeat(64)}  other.tgz\n${sum(archive)}  ./thing-v1.2.3.tgz\n`}, async ({url, asked}) => {
		const made = await make(release(url));
		t.deepEqual(made.names, ['one', 'provenance.json']);
		t.is(made.text, program);
		t.is(made.mode, 0o755);
		t.like(made.provenance, {component: 'thing', version: '1.2.3', provider: 'release', passedOver: [], programs: {one: sum(program)}});
		t.deepEqual(made.provenance.sources, {[`${url}/thing-v1.2.3.tgz`]: sum(archive)});
		t.deepEqual(asked, ['GET /SUMS', 'GET /thing-v1.2.3.tgz']);
	});
});

test('a release may be one program, and its checksum a file with nothing else', async (t) => {
	await withFileServer({'/one-1.2.3': program, '/one-1.2.3.sha256': sum(program)}, async ({url}) => {
		const made = await make(release(url, {url: `${url}/one-VERSION`, checksumUrl: `${url}/one-VERSION.sha256`, paths: {one: ''}}));
		t.is(made.text, program);
		t.is(made.provenance.provider, 'release');
	});
});

test('a download with a wrong checksum ends the search, and both sums are named', async (t) => {
	const archive = await releaseArchive();
	await withFileServer({'/thing-v1.2.3.tgz': archive, '/SUMS': `${'0'.repeat(64)}  thing-v1.2.3.tgz\n`}, async ({url}) => {
		const error = await t.throwsAsync(make(release(url)), {code: 'checksum-mismatch'}) as unknown as LabError;
		t.is(error.exitCode, 5);
		t.true(error.details.some((line) => line.includes('0'.repeat(64))));
		t.true(error.details.some((line) => line.includes(sum(archive))));
	});
});

test('a download that is cut is taken up where it was', async (t) => {
	const archive = Buffer.concat([await releaseArchive(), Buffer.alloc(100_000)]);
	let cuts = 0;
	await withFileServer({
		'/thing-v1.2.3.tgz'(request, response) {
			if (cuts++ > 0) {
				serveBytes(archive, request.headers.range, response);
				return;
			}

			response.writeHead(200, {'content-length': archive.length});
			response.write(archive.subarray(0, 50_000), () => {
				response.destroy();
			});
		},
		'/SUMS': `${sum(archive)}  thing-v1.2.3.tgz\n`,
	}, async ({url, asked}) => {
		const made = await make(release(url));
		t.is(made.text, program);
		t.deepEqual(asked.slice(2), ['GET /thing-v1.2.3.tgz bytes=50000-']);
	});
});

test('a download whose server cannot take it up is begun again', async (t) => {
	const archive = Buffer.concat([await releaseArchive(), Buffer.alloc(100_000)]);
	let cuts = 0;
	await withFileServer({
		'/thing-v1.2.3.tgz'(_request, response) {
			response.writeHead(200, {'content-length': archive.length});
			if (cuts++ > 0) {
				response.end(archive);
				return;
			}

			response.write(archive.subarray(0, 50_000), () => {
				response.destroy();
			});
		},
		'/SUMS': `${sum(archive)}  thing-v1.2.3.tgz\n`,
	}, async ({url}) => {
		t.is((await make(release(url))).text, program);
	});
});

test('when nobody has a component, what was tried is told, with why each failed', async (t) => {
	await withFileServer({}, async ({url}) => {
		const error = await t.throwsAsync(make(release(url)), {code: 'component-missing'}) as unknown as LabError;
		t.is(error.exitCode, 5);
		t.regex(error.message, /thing 1\.2\.3/);
		t.deepEqual(error.details.map((line) => line.split(':')[0]), ['cache', 'release', 'go', 'debian']);
		t.regex(error.details[1]!, /404/);
		t.regex(error.details[2]!, /does not say how to build it/);
	});
});

test('where there is no network the next provider is asked at once, and the host is not waited for again', async (t) => {
	const declared = {...release('http://host.invalid'), go: {module: 'example.org/thing', packages: {one: 'example.org/thing'}}};
	for (const _ of [1, 2]) {
		const error = await t.throwsAsync(make(declared), {code: 'component-missing'}) as unknown as LabError;
		t.regex(error.details[1]!, /^release: curl: .*host/i);
		t.regex(error.details[2]!, /^go: the overlay has no go\.mod/);
	}
});

test('an archive without the program is not the component', async (t) => {
	const archive = await releaseArchive();
	await withFileServer({'/thing-v1.2.3.tgz': archive, '/SUMS': sum(archive)}, async ({url}) => {
		const error = await t.throwsAsync(make(release(url, {paths: {one: 'sbin/one'}})), {code: 'component-missing'}) as unknown as LabError;
		t.is(error.details[1], 'release: the archive has no sbin/one');
	});
});

/** A folder with a build of one's own. */
async function withBuild<Value>(use: (dir: string) => Promise<Value>): Promise<Value> {
	return withStageWork(async ({folder}) => {
		await writeFile(path.join(folder, 'one'), program, {mode: 0o755});
		return use(folder);
	});
}

test('a build of the developer\'s own wins over every other provider', async (t) => {
	await withBuild(async (dir) => {
		const made = await make({...release('http://host.invalid'), dir}, digestOf([['one', sum(program)]]));
		t.is(made.text, program);
		t.like(made.provenance, {provider: 'local', sources: {[path.join(dir, 'one')]: sum(program)}});
	});
});

test('an incomplete build of one\'s own is an error: nothing stands in for it', async (t) => {
	await withBuild(async (dir) => {
		await chmod(path.join(dir, 'one'), 0o644);
		const declared = component({dir, programs: [{name: 'one'}, {name: 'two'}]});
		const error = await t.throwsAsync(make(declared), {code: 'local-build-incomplete'}) as unknown as LabError;
		t.is(error.exitCode, 5);
		t.deepEqual(error.details, ['one is not an executable file', 'two is missing']);
	});
});

test('a build that changes after it was looked at is not taken for what it was', async (t) => {
	await withBuild(async (dir) => {
		await t.throwsAsync(make(component({dir}), digestOf([['one', sum('before')]])), {code: 'local-build-incomplete'});
	});
});
