/** Keys for ssh: made for each lab, never in a tree. */
import ssh2 from 'ssh2';

/** A key pair, as OpenSSH's files have it. */
export interface SshKeyPair {
	/** The private key file's text, unencrypted (`BEGIN OPENSSH PRIVATE KEY`). */
	readonly privateKey: string;
	/** One line without its newline: `ssh-ed25519 AAAA... comment`; the form of authorized_keys. */
	readonly publicKey: string;
}

/** A new Ed25519 pair. The comment is one word for people: `vmlab`. */
export function generateSshKeys(comment: string): SshKeyPair {
	// ssh2 takes a public key's leading zero byte for padding, and writes one in 256 pairs so that nothing can read it.
	for (;;) {
		const pair = ssh2.utils.generateKeyPairSync('ed25519', {comment});
		if (areWhole(pair.private, pair.public)) {
			return {privateKey: pair.private, publicKey: pair.public.trim()};
		}
	}
}

function areWhole(privateText: string, publicText: string): boolean {
	const [privateKey, publicKey] = [ssh2.utils.parseKey(privateText), ssh2.utils.parseKey(publicText)];
	if (privateKey instanceof Error || publicKey instanceof Error) {
		return false;
	}

	const text = Buffer.from('vmlab');
	return publicKey.verify(text, privateKey.sign(text));
}
