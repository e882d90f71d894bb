import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFile, readFile, rm, stat, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {opensReadOnly} from '../../lab/machine/emulator.ts';
import {connectQmp} from '../../lab/machine/qmp.ts';
import {makeRoom, ownPages, piecesOf, privateMappings, putPages, type Room, type TakenPages, takeOwnPages} from '../../lab/machine/private-memory.ts';

const maps = `5581d0a00000-5581d0a01000 rw-p 00000000 fe:00 1                          /usr/bin/qemu-system-x86_64
7f0000000000-7f0010000000 rw-p 00000000 fe:00 77                         /cache/node 1/memory
7f0020000000-7f0020100000 rw-p 10000000 fe:00 77                         /cache/node 1/memory
7f0030000000-7f0030100000 rw-s 00000000 fe:00 77                         /cache/node 1/memory
7f0040000000-7f0040100000 r--p 00000000 fe:00 77                         /cache/node 1/memory
7f0050000000-7f0050100000 rw-p 00000000 fe:00 78                         /cache/node 1/memory2
7f0060000000-7f0060100000 rw-p 00000000 00:00 0 
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
`;

test('of all that a process maps, the private and writable parts of one file are found', (t) => {
	t.deepEqual(privateMappings(maps, '/cache/node 1/memory'), [
		{address: 0x7f00_0000_0000, offset: 0, bytes: 0x1000_0000},
		{address: 0x7f00_2000_0000, offset: 0x1000_0000, bytes: 0x10_0000},
	]);
	t.deepEqual(privateMappings(maps, '/cache/node'), []);
	t.deepEqual(privateMappings('', '/cache/node 1/memory'), []);
});

/** Entries of /proc/PID/pagemap: `-` nothing there, `f` a page of the file, `o` an own one, `s` an own one that is swapped out, `S` a file's that is. */
function entries(pages: string): Buffer {
	const bits: Readonly<Record<string, bigint>> = {'-': 0n, f: (1n << 63n) | (1n << 61n), o: 1n << 63n, s: 1n << 62n, S: (1n << 62n) | (1n << 61n)};
	const buffer = Buffer.alloc(pages.length * 8);
	[...pages].forEach((page, index) => {
		// Lower bits are frame numbers and others that must not matter.
		buffer.writeBigUInt64LE(bits[page]! | (1n << 55n) | (1n << 56n) | 0xff_ffffn, index * 8);
	});
	return buffer;
}

test('pages that are the process\'s own are told from those of the file, in runs', (t) => {
	t.deepEqual(ownPages(entries('-ffoo-osfSo')), [{first: 3, count: 2}, {first: 6, count: 2}, {first: 10, count: 1}]);
	t.deepEqual(ownPages(entries('ff--')), []);
	t.deepEqual(ownPages(entries('ooo')), [{first: 0, count: 3}]);
	t.deepEqual(ownPages(Buffer.alloc(0)), []);
});

test('no piece is beyond 4 MiB, and none has what lies between two runs', (t) => {
	t.deepEqual(piecesOf([]), []);
	t.deepEqual(piecesOf([{first: 3, count: 2}, {first: 6, count: 2}]), [{first: 3, count: 2}, {first: 6, count: 2}]);
	t.deepEqual(piecesOf([{first: 10, count: 1024}, {first: 2000, count: 2500}]), [{first: 10, count: 1024}, {first: 2000, count: 1024}, {first: 3024, count: 1024}, {first: 4048, count: 452}]);
});

const page = 4096;
const noRoom: Room = {take: () => undefined};
const pages = 4096;

/** What the file has: each page says its number. */
function contentOf(count: number): Buffer {
	const content = Buffer.alloc(count * page);
	for (let index = 0; index < count; index++) {
		content.fill(`page ${index} `, index * page, (index + 1) * page);
	}

	return content;
}

/**
 * A QEMU that does not run yet, whose memory is the file, privately, and that has written to some places of it. Where it can, it has opened the file
 * for reading alone.
 */
async function withWriter(writes: ReadonlyMap<number, Buffer>, use: (scene: {pid: number; file: string; before: Buffer; folder: string}) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'memory');
		const before = contentOf(pages);
		await writeFile(file, before);
		const loaded = await Promise.all([...writes].map(async ([address, bytes], index) => {
			const source = path.join(folder, `bytes-${index}`);
			await writeFile(source, bytes);
			return ['-device', `loader,file=${source},addr=${address},force-raw=on`];
		}));
		const readOnly = await opensReadOnly(undefined);
		const child = spawn('qemu-system-x86_64', [
			'-nodefaults', '-no-user-config', '-display', 'none', '-S', '-accel', 'tcg', '-M', 'pc,memory-backend=ram', '-m', `${pages * page / 1024}K`,
			'-object', `memory-backend-file,id=ram,mem-path=${file},size=${pages * page},share=off${readOnly ? ',readonly=on,rom=off' : ''}`, '-qmp', `unix:${folder}/qmp.sock,server=on,wait=off`, ...loaded.flat(),
		], {stdio: ['ignore', 'ignore', 'inherit']});
		const gone = once(child, 'exit');
		try {
			// It answers when its machine is there, and has been reset: then all is written.
			const qmp = await until('QEMU listens', async () => ({met: true, value: await connectQmp(path.join(folder, 'qmp.sock'), 'writer')}), {deadline: 60_000, interval: 50});
			await qmp.execute('query-status');
			qmp.close();
			await use({pid: child.pid!, file, before, folder});
		} finally {
			child.kill('SIGKILL');
			await gone;
		}
	});
}

test('what a process wrote to its private memory is taken and put elsewhere, and nothing else', async (t) => {
	// A few bytes; a run that is no whole number of pages; more than one piece; the last page.
	const writes = new Map([
		[0x20_0010, Buffer.from('a few bytes')],
		[0x30_0800, Buffer.alloc(5 * page, 'run')],
		[0x40_0000, Buffer.alloc(6 * 1024 ** 2 + page, 'long')],
		[(pages - 1) * page, Buffer.alloc(page)],
	]);
	await withWriter(writes, async ({pid, file, before, folder}) => {
		const after = Buffer.from(before);
		for (const [address, bytes] of writes) {
			bytes.copy(after, address);
		}

		const overflow = path.join(folder, 'own');
		// All in memory; all in the file; both.
		for (const [index, room] of [2 ** 30, 0, 5 * 1024 ** 2].entries()) {
			const taken = await takeOwnPages(pid, file, {room: await makeRoom(pid, file, room), overflow});
			t.true(taken.pieces.every(({offset, bytes}) => offset % page === 0 && bytes % page === 0));
			const owned = new Set(taken.pieces.flatMap(({offset, bytes}) => Array.from({length: bytes / page}, (_, of) => offset / page + of)));
			t.true([0x200, 0x300, 0x305, 0x400, 0xa00, pages - 1].every((number) => owned.has(number)));
			t.false([0x1ff, 0x201, 0x306, 0xa01, pages - 2].some((number) => owned.has(number)));
			const inMemory = taken.pieces.reduce((sum, {content}) => sum + (content?.length ?? 0), 0);
			const inAll = taken.pieces.reduce((sum, {bytes}) => sum + bytes, 0);
			t.true(inMemory <= room);
			t.is(inMemory > 0, room > 0);
			if (inMemory < inAll) {
				t.is((await stat(overflow)).size, inAll - inMemory);
				t.is((await stat(overflow)).mode & 0o777, 0o600);
			} else {
				await t.throwsAsync(stat(overflow), {code: 'ENOENT'});
			}

			t.true((await readFile(file)).equals(before), 'the file is as it was');
			const copy = path.join(folder, `copy-${index}`);
			await copyFile(file, copy);
			await putPages(taken, copy);
			await rm(overflow, {force: true});
			const result = await readFile(copy);
			t.is(result.length, after.length);
			for (let number = 0; number < pages; number++) {
				// What the firmware's place has (below 1 MiB) is QEMU's matter.
				if (number >= 0x100 && !result.subarray(number * page, (number + 1) * page).equals(after.subarray(number * page, (number + 1) * page))) {
					t.fail(`page ${number} differs`);
				}
			}
		}

		// By another name of the folder, as where a cache is behind a link.
		const link = path.join(folder, 'link');
		await symlink(folder, link);
		const places = ({pieces}: TakenPages): Array<[number, number]> => pieces.map(({offset, bytes}) => [offset, bytes]);
		const takeAll = async (of: string): Promise<TakenPages> => takeOwnPages(pid, of, {room: await makeRoom(pid, of, 2 ** 30), overflow});
		t.deepEqual(places(await takeAll(path.join(link, 'memory'))), places(await takeAll(file)));

		await writeFile(overflow, '');
		await t.throwsAsync(takeOwnPages(pid, file, {room: noRoom, overflow}), {code: 'EEXIST'});
		await t.throwsAsync(takeOwnPages(pid, path.join(folder, 'copy-0'), {room: noRoom, overflow}), {code: 'machine-broke', message: /does not map/});
	});
});

test('of a process that wrote nothing nothing is taken', async (t) => {
	await withWriter(new Map(), async ({pid, file, folder}) => {
		const {pieces} = await takeOwnPages(pid, file, {room: noRoom, overflow: path.join(folder, 'own')});
		t.deepEqual(pieces.filter(({offset}) => offset >= 0x10_0000), []);
	});
});

test('pages in a file that was cut short are not taken for whole ones', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const [overflow, target] = [path.join(folder, 'own'), path.join(folder, 'memory')];
		await writeFile(overflow, Buffer.alloc(page));
		await writeFile(target, Buffer.alloc(4 * page));
		await t.throwsAsync(putPages({overflow, pieces: [{offset: 0, bytes: 2 * page}]}, target), {message: /only 4096 of 8192 bytes/});
	});
});

test('a process that is gone is the system\'s error', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await t.throwsAsync(takeOwnPages(2 ** 22 + 1, folder, {room: noRoom, overflow: path.join(folder, 'own')}), {code: 'ENOENT'});
	});
});
