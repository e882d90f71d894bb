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
	const pair = ssh2.utils.generateKeyPairSync('ed25519', {comment});
	return {privateKey: pair.private, publicKey: pair.public.trim()};
}
