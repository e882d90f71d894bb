/** Keys for ssh: made for each lab, never in a tree. */
import ssh2 from 'ssh2';

/** A key pair, as OpenSSH's files have it. */
export interface SshKeyPair {
	/** The private key file's text, unencrypted (`BEGIN OPENSSH PRIVATE KEY`). */
	readonly privateKey: string;
	/** One line without its newline, as authorized_keys has it: algorithm (`ssh-rsa`, or a machine's `ssh-ed25519`), key, comment. */
	readonly publicKey: string;
}

/** A pair as ssh2 makes it. */
type PairOfTexts = {readonly private: string; readonly public: string};

/** What a pair is for: `host` is a machine's own, `login` lets the host in. */
export type SshKeyUse = 'host' | 'login';

/** A new pair. The comment is one word for people: `vmlab`. */
export async function generateSshKeys(use: SshKeyUse, comment: string): Promise<SshKeyPair> {
	// ssh2 takes a public key's leading zero byte for padding, and writes one in 256 so that nothing can read it.
	for (;;) {
		const pair = await generatePair(use, comment);
		if (areWhole(pair.private, pair.public)) {
			return {privateKey: pair.private, publicKey: pair.public.trim()};
		}
	}
}

/**
 * Of dropbear's algorithms the one with which an emulated guest has the least to do. It signs with its own key, quickest by Ed25519; of logins it
 * only verifies signatures, which RSA's small public exponent makes so cheap that a handshake takes 3.8 ms of its processor instead of 7.
 */
async function generatePair(use: SshKeyUse, comment: string): Promise<PairOfTexts> {
	return new Promise((resolve, reject) => {
		const done = (error: Error | null, pair: PairOfTexts): void => {
			if (error === null) {
				resolve(pair);
			} else {
				reject(error);
			}
		};
		if (use === 'login') {
			ssh2.utils.generateKeyPair('rsa', {bits: 2048, comment}, done);
		} else {
			ssh2.utils.generateKeyPair('ed25519', {comment}, done);
		}
	});
}

function areWhole(privateText: string, publicText: string): boolean {
	const [privateKey, publicKey] = [ssh2.utils.parseKey(privateText), ssh2.utils.parseKey(publicText)];
	if (privateKey instanceof Error || publicKey instanceof Error) {
		return false;
	}

	const text = Buffer.from('vmlab');
	return publicKey.verify(text, privateKey.sign(text));
}
