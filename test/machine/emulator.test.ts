import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {describeLibrary, hasReadOnlyMemory} from '../../lab/machine/emulator.ts';

test('a QEMU that can open memory for reading alone is known by a property of such memory', (t) => {
	// From QEMU 7.2 and 10.0: `-object memory-backend-file,help`.
	const old = 'memory-backend-file options:\n  mem-path=<string>\n  readonly=<bool>\n  reserve=<bool>         - Reserve swap space (or huge pages) if applicable\n';
	t.false(hasReadOnlyMemory(old));
	t.true(hasReadOnlyMemory(`${old}  rom=<OnOffAuto>        - Whether to create Read Only Memory (ROM)\n`));
	t.false(hasReadOnlyMemory(''));
});

test('two releases of a library are told apart though their files have one name', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const described = await Promise.all(['4.7.0', '4.8.0'].map(async (release) => {
			const file = path.join(folder, release, 'libslirp.so.0.4.0');
			await mkdir(path.dirname(file));
			await writeFile(file, `the library of ${release}`);
			return describeLibrary(file);
		}));
		t.true(described.every((text) => /^libslirp\.so\.0\.4\.0 [\da-f]{16}$/.test(text)), described.join());
		t.not(described[0], described[1]);
	});
});
