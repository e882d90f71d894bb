import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {identify} from '../../lab/host/process.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {newRecord, writeRecord} from '../../lab/runtime/lab-record.ts';
import {startSshServer} from '../machine/ssh-server.ts';
import {type CommandOptions, type CommandOutcome, outcomeText, vmlab} from '../rig/command.ts';

/** A lab whose one machine is this computer, with programs in place of systemd's: its one unit is kubelet.service. */
async function withMachine(use: (logs: (words: string[], options?: CommandOptions) => Promise<CommandOutcome>) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const bin = path.join(folder, 'bin');
		const lab = path.join(folder, 'state/labs/mine');
		await Promise.all([bin, lab].map(async (each) => mkdir(each, {recursive: true})));
		const program = async (name: string, lines: readonly string[]): Promise<void> => writeFile(path.join(bin, name), `#!/bin/sh\n${lines.join('\n')}\n`, {mode: 0o755});
		// All units where none is asked for; else the one, or nothing.
		await program('systemctl', ['for last; do :; done', 'case $last in --full|kubelet|kubelet.service) echo "kubelet.service enabled enabled";; esac']);
		await program('journalctl', [
			'case "$*" in',
			'*--follow*) echo "it follows" >&2; exec sleep 300;;',
			'*--quiet*old*) echo "a unit that is gone has left this";;',
			'*--quiet*) ;;',
			'*) echo "lines of the journal";;',
			'esac',
		]);
		const before = process.env['PATH'];
		process.env['PATH'] = `${bin}:${before}`;
		const server = await startSshServer();
		try {
			await writeFile(path.join(lab, 'ssh-key'), server.userKeys.privateKey, {mode: 0o600});
			await writeRecord(lab, {
				...newRecord({name: 'mine', supervisor: await identify(process.pid, ''), labKey: ''}), state: 'ready', speed: 1,
				machines: [{name: 'node-1', role: 'node', state: 'ready', pid: null, ssh: {host: '127.0.0.1', port: server.port, user: 'root', hostKey: server.hostKeys.publicKey}}],
			});
			await use(async (words, options = {}) => vmlab(['logs', 'node-1', ...words], {...options, env: {VMLAB_STATE_DIR: path.join(folder, 'state')}}));
		} finally {
			process.env['PATH'] = before;
			await server.close();
		}
	});
}

test.serial('a unit that the machine does not know is told, with the one that was meant', async (t) => {
	await withMachine(async (logs) => {
		const unknown = await logs(['-u', 'kubelet', '-u', 'kubelt']);
		t.is(unknown.code, 2, outcomeText(unknown));
		t.regex(unknown.stderr, /The machine node-1 has no unit `kubelt`[^]*Did you mean `kubelet`\?/);
		t.is(unknown.stdout, '');
		for (const words of [['-u', 'kubelet'], ['-u', 'kubelet.service'], ['-u', 'old.service'], []]) {
			const known = await logs(words);
			t.is(known.code, 0, outcomeText(known));
			t.is(known.stdout, 'lines of the journal\n', words.join(' '));
		}
	});
});

test.serial('what is followed ends with Ctrl-C, without an error', async (t) => {
	await withMachine(async (logs) => {
		let sent = false;
		const outcome = await logs(['-f'], {
			onProgress(text, child) {
				if (!sent && text.includes('it follows')) {
					sent = true;
					child.kill('SIGINT');
				}
			},
		});
		t.is(outcome.code, 130, outcomeText(outcome));
		t.notRegex(outcome.stderr, /✖|Interrupted/);
	});
});
