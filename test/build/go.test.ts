import {mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {makeComponent, type Provenance} from '../../lab/build/component.ts';
import {chooseWords, otherVersion} from '../../lab/build/provider/go-module.ts';
import {programOfPackage} from '../../lab/build/provider/go.ts';
import type {LabError} from '../../lab/host/error.ts';
import {findProgram, run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {ComponentDeclaration} from '../../lab/spec/component.ts';
import {withStageWork} from '../rig/stage-work.ts';

test('a program is named as `go build` names it', (t) => {
	t.is(programOfPackage('k8s.io/kubernetes/cmd/kubelet'), 'kubelet');
	t.is(programOfPackage('go.etcd.io/etcd/server/v3'), 'server');
	t.is(programOfPackage('github.com/coredns/coredns'), 'coredns');
});

test('another version gets the published twins of the modules that lie beside it, and its own other replacements', (t) => {
	const theirs = {
		Go: '1.25.0',
		Replace: [
			{Old: {Path: 'k8s.io/api'}, New: {Path: './staging/src/k8s.io/api'}},
			{Old: {Path: 'example.org/a', Version: 'v1.0.0'}, New: {Path: 'example.org/b', Version: 'v1.0.1'}},
		],
	};
	t.is(otherVersion(theirs, ['k8s.io/kubernetes'], '1.35.4', true), `module vmlab.test/build

go 1.25.0

require k8s.io/kubernetes v1.35.4

replace k8s.io/api => k8s.io/api v0.35.4
replace example.org/a v1.0.0 => example.org/b v1.0.1
`);
	t.notRegex(otherVersion(theirs, ['k8s.io/kubernetes'], '1.35.4', false), /k8s\.io\/api/);
});

test('of all that Go says, what is wrong is told', (t) => {
	t.is(chooseWords([
		'go: downloading example.org/a v1.0.0',
		'example.org/b@v1.0.0: reading https://proxy.example/b: 403 Forbidden',
		'\tserver response: not available',
		'go: something later',
	]), 'example.org/b@v1.0.0: reading https://proxy.example/b: 403 Forbidden (server response: not available)');
	t.is(chooseWords(['# example.org/thing', './main.go:3:2: undefined: x']), './main.go:3:2: undefined: x');
	t.is(chooseWords([]), '');
});

/** Go's module proxy as files (https://go.dev/ref/mod#goproxy-protocol), each version made by Go itself from these sources. */
async function publish(folder: string, versions: readonly string[]): Promise<void> {
	const packer = path.join(folder, 'pack.go');
	await writeFile(packer, `package main

import (
	"archive/zip"
	"os"
)

func main() {
	file, err := os.Create(os.Args[1])
	if err != nil { panic(err) }
	archive := zip.NewWriter(file)
	for i := 2; i+1 < len(os.Args); i += 2 {
		entry, err := archive.Create(os.Args[i])
		if err != nil { panic(err) }
		if _, err := entry.Write([]byte(os.Args[i+1])); err != nil { panic(err) }
	}
	if err := archive.Close(); err != nil { panic(err) }
}
`);
	await run('go', ['build', '-o', path.join(folder, 'pack'), packer]);
	const at = path.join(folder, 'proxy/example.org/thing/@v');
	await mkdir(at, {recursive: true});
	await writeFile(path.join(at, 'list'), `${versions.join('\n')}\n`);
	const module = 'module example.org/thing\n\ngo 1.21\n';
	for (const version of versions) {
		await writeFile(path.join(at, `${version}.info`), JSON.stringify({Version: version, Time: '2024-01-01T00:00:00Z'}));
		await writeFile(path.join(at, `${version}.mod`), module);
		const files = {
			'go.mod': module,
			'cmd/thing/main.go': `package main\n\nvar release = "none"\n\nfunc main() { println("thing", release, "of ${version}") }\n`,
			'src/hello.c': '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n',
		};
		await run(path.join(folder, 'pack'), [path.join(at, `${version}.zip`), ...Object.entries(files).flatMap(([name, text]) => [`example.org/thing@${version}/${name}`, text])]);
	}
}

interface Built {
	readonly provenance: Provenance;
	/** What the program says. */
	readonly words: string;
}

async function build(overlay: string, version: string, more: Partial<ComponentDeclaration> = {}): Promise<Built> {
	const component: ComponentDeclaration = {
		name: 'thing', version, programs: [{name: 'tool'}],
		go: {module: 'example.org/thing', packages: {tool: 'example.org/thing/cmd/thing'}, ldflags: '-X main.release=VERSION'},
		...more,
	};
	return withStageWork(async (work) => {
		await makeComponent({kind: 'component', component, folder: overlay}, work);
		return {
			provenance: JSON.parse(await readFile(path.join(work.out, 'provenance.json'), 'utf8')) as Provenance,
			words: (await run(path.join(work.out, component.programs[0]!.name), [])).stderr,
		};
	});
}

/** An overlay that pins v1.0.0 of a module, and a proxy that has v1.0.0 and v1.1.0. */
async function withOverlay(t: ExecutionContext, use: (overlay: string) => Promise<void>): Promise<void> {
	if (await findProgram('go') === undefined) {
		t.pass('Go is not installed');
		return;
	}

	await withTemporaryFolder(async (folder) => {
		const overlay = path.join(folder, 'overlay');
		await mkdir(overlay);
		Object.assign(process.env, {GOFLAGS: '-modcacherw', GOPROXY: `file://${folder}/proxy`, GOSUMDB: 'off', GOMODCACHE: path.join(folder, 'modules'), GOTOOLCHAIN: 'local'});
		await publish(folder, ['v1.0.0', 'v1.1.0']);
		await writeFile(path.join(overlay, 'go.mod'), 'module test/overlay\n\ngo 1.21\n\nrequire example.org/thing v1.0.0\n');
		await run('go', ['mod', 'download', 'example.org/thing'], {cwd: overlay});
		await use(overlay);
	});
}

test.serial('the pinned version is built from the overlay\'s go.mod and go.sum, another one from the checksum database', async (t) => {
	await withOverlay(t, async (overlay) => {
		const pinned = await build(overlay, '1.0.0');
		t.is(pinned.words, 'thing 1.0.0 of v1.0.0');
		t.is(pinned.provenance.provider, 'go');
		t.regex(pinned.provenance.sources['example.org/thing@v1.0.0'] ?? '', /^h1:/);
		t.deepEqual(pinned.provenance.passedOver, ['release: the overlay names no release download']);
		t.deepEqual((await build(overlay, '1.0.0')).provenance.programs, pinned.provenance.programs, 'the same bytes again');
		t.is((await build(overlay, '1.1.0')).words, 'thing 1.1.0 of v1.1.0');
	});
});

test.serial('what Go cannot build is told with its reason', async (t) => {
	await withOverlay(t, async (overlay) => {
		const reason = async (version: string, more: Partial<ComponentDeclaration> = {}): Promise<string> => {
			const error = await t.throwsAsync(build(overlay, version, more), {code: 'component-missing'}) as unknown as LabError;
			return error.details.find((line) => line.startsWith('go: ')) ?? '';
		};

		t.regex(await reason('9.9.9'), /^go: example\.org\/thing@v9\.9\.9: .*9\.9\.9/);
		t.regex(await reason('1.0.0', {go: {module: 'example.org/thing', packages: {tool: 'example.org/thing/cmd/thing'}, goVersion: '1.99'}}), /go1\.99\.0/, 'a newer Go is fetched as a module, and these modules are not there');
		t.regex(await reason('1.0.0', {go: {module: 'example.org/thing', packages: {tool: 'example.org/thing/cmd/nothing'}}}), /cmd\/nothing/);
		t.is(await reason('1.0.0', {programs: [{name: 'tool'}, {name: 'other'}]}), 'go: what it gave has no program other');
		await writeFile(path.join(overlay, 'go.sum'), '');
		t.regex(await reason('1.0.0'), /go\.sum/);
	});
});

test.serial('a module that is not what go.sum says ends the search', async (t) => {
	await withOverlay(t, async (overlay) => {
		const sums = await readFile(path.join(overlay, 'go.sum'), 'utf8');
		await writeFile(path.join(overlay, 'go.sum'), sums.replaceAll(/h1:./g, (start) => `h1:${start.endsWith('A') ? 'B' : 'A'}`));
		const error = await t.throwsAsync(build(overlay, '1.0.0'), {code: 'module-mismatch'}) as unknown as LabError;
		t.is(error.exitCode, 5);
		t.regex(error.details.join('\n'), /checksum mismatch/);
	});
});

test.serial('C sources of the module become static programs', async (t) => {
	if (await findProgram('gcc') === undefined) {
		t.pass('gcc is not installed');
		return;
	}

	await withOverlay(t, async (overlay) => {
		for (const place of ['src', 'src/hello.c']) {
			const built = await withStageWork(async (work) => {
				await makeComponent({kind: 'component', folder: overlay, component: {
					name: 'hello', version: '1.0.0', programs: [{name: 'hello'}], go: {module: 'example.org/thing', packages: {}}, cSources: {folders: {hello: place}},
				}}, work);
				return run(path.join(work.out, 'hello'), []);
			});
			t.is(built.stdout, 'hello');
		}
	});
});
