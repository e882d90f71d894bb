import test from 'ava';
import ssh2 from 'ssh2';
import {generateSshKeys} from '../../lab/machine/keys.ts';

test('every pair can be read back, the one in 256 that ssh2 writes wrong too', async (t) => {
	for (let count = 0; count < 1000; count++) {
		const {privateKey, publicKey} = await generateSshKeys('host', 'vmlab');
		const [own, open] = [ssh2.utils.parseKey(privateKey), ssh2.utils.parseKey(publicKey)];
		if (own instanceof Error || open instanceof Error) {
			t.fail(`${String(own)} ${String(open)}`);
			return;
		}

		if (!own.getPublicSSH().equals(open.getPublicSSH()) || open.getPublicSSH().length !== 51) {
			t.fail(publicKey);
			return;
		}
	}

	t.pass();
});

test('the public key is a line of authorized_keys', async (t) => {
	const {privateKey, publicKey} = await generateSshKeys('login', 'vmlab');
	t.regex(publicKey, /^ssh-rsa [A-Za-z0-9+/]+=* vmlab$/);
	const [own, open] = [ssh2.utils.parseKey(privateKey), ssh2.utils.parseKey(publicKey)];
	t.true(!(own instanceof Error) && !(open instanceof Error) && open.verify(Buffer.from('a login'), own.sign(Buffer.from('a login'))));
});

test('a machine signs with Ed25519, which costs an emulated one least', async (t) => {
	t.regex((await generateSshKeys('host', 'node-1')).publicKey, /^ssh-ed25519 [A-Za-z0-9+/]+=* node-1$/);
});
