/** The files of a folder by sftp, for the ssh server of the tests: as little of it as copying needs. */
import {closeSync, fchmodSync, fstatSync, lstatSync, mkdirSync, openSync, readdirSync, readSync, statSync, type Stats, writeSync} from 'node:fs';
import path from 'node:path';
import type {SFTPWrapper} from 'ssh2';
import ssh2 from 'ssh2';

const {STATUS_CODE, flagsToString} = ssh2.utils.sftp;

/** Answers with what is below `folder`, taken for the root; `lie` puts entries into each listing that are not there, `hides` says of each file that is not open that it is empty. */
export function serveFiles(sftp: SFTPWrapper, folder: string, lie: readonly string[], hides: boolean): void {
	const open = new Map<number, {file?: number; names?: string[]; place: string}>();
	let count = 0;
	const handleFor = (entry: {file?: number; names?: string[]; place: string}): Buffer => {
		const handle = Buffer.alloc(4);
		handle.writeUInt32BE(count);
		open.set(count++, entry);
		return handle;
	};

	const of = (handle: Buffer) => open.get(handle.readUInt32BE())!;
	const at = (name: string): string => path.join(folder, name);
	const answer = (id: number, act: () => void): void => {
		try {
			act();
		} catch (error) {
			sftp.status(id, (error as NodeJS.ErrnoException).code === 'ENOENT' ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE, (error as Error).message);
		}
	};
	const attributes = (status: Stats): ssh2.Attributes => ({mode: status.mode, uid: 0, gid: 0, size: status.size, atime: 0, mtime: 0});

	sftp.on('STAT', (id, name) => {
		answer(id, () => {
			sftp.attrs(id, {...attributes(statSync(at(name))), ...(hides && {size: 0})});
		});
	});
	sftp.on('FSTAT', (id, handle) => {
		answer(id, () => {
			sftp.attrs(id, attributes(fstatSync(of(handle).file!)));
		});
	});
	sftp.on('OPEN', (id, name, flags, {mode}) => {
		answer(id, () => {
			sftp.handle(id, handleFor({file: openSync(at(name), flagsToString(flags) ?? 'r', mode), place: name}));
		});
	});
	sftp.on('FSETSTAT', (id, handle, {mode}) => {
		answer(id, () => {
			fchmodSync(of(handle).file!, mode);
			sftp.status(id, STATUS_CODE.OK);
		});
	});
	sftp.on('READ', (id, handle, offset, length) => {
		answer(id, () => {
			const buffer = Buffer.alloc(length);
			const got = readSync(of(handle).file!, buffer, 0, length, offset);
			if (got === 0) {
				sftp.status(id, STATUS_CODE.EOF);
			} else {
				sftp.data(id, buffer.subarray(0, got));
			}
		});
	});
	sftp.on('WRITE', (id, handle, offset, data) => {
		answer(id, () => {
			writeSync(of(handle).file!, data, 0, data.length, offset);
			sftp.status(id, STATUS_CODE.OK);
		});
	});
	sftp.on('CLOSE', (id, handle) => {
		answer(id, () => {
			const {file} = of(handle);
			if (file !== undefined) {
				closeSync(file);
			}

			sftp.status(id, STATUS_CODE.OK);
		});
	});
	sftp.on('MKDIR', (id, name, {mode}) => {
		answer(id, () => {
			mkdirSync(at(name), {mode});
			sftp.status(id, STATUS_CODE.OK);
		});
	});
	sftp.on('OPENDIR', (id, name) => {
		answer(id, () => {
			sftp.handle(id, handleFor({names: readdirSync(at(name)), place: name}));
		});
	});
	sftp.on('READDIR', (id, handle) => {
		answer(id, () => {
			const listing = of(handle);
			const names = listing.names?.splice(0) ?? [];
			if (names.length === 0) {
				sftp.status(id, STATUS_CODE.EOF);
				return;
			}

			const real = names.map((name) => ({filename: name, longname: name, attrs: attributes(lstatSync(path.join(at(listing.place), name)))}));
			const made = lie.map((name) => ({filename: name, longname: name, attrs: {mode: 0o100_644, uid: 0, gid: 0, size: 4, atime: 0, mtime: 0}}));
			sftp.name(id, [...real, ...made]);
		});
	});
}
