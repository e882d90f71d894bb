import test from 'ava';
import ssh2 from 'ssh2';
import {generateSshKeys} from '../../lab/machine/keys.ts';

test('every pair can be read back, the one in 256 that ssh2 writes wrong too', (t) => {
	for (let count = 0; count < 1000; count++) {
		const {privateKey, publicKey} = generateSshKeys('vmlab');
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

test('the public key is a line of authorized_keys', (t) => {
	t.regex(generateSshKeys('vmlab').publicKey, /^ssh-ed25519 [A-Za-z0-9+/]+=* vmlab$/);
});
