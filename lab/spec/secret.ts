/**
 * Secrets by description. A manifest never holds a secret: it says which certificate or key a file has, and the runtime
 * makes the material for each lab.
 */

/** A certificate to be issued by one of the lab's authorities. */
export interface CertificateRequest {
	/** The issuing authority, by name: 'kubernetes', 'etcd'. Made on first use. */
	readonly authority: string;
	readonly commonName: string;
	readonly organizations?: readonly string[];
	/** DNS names and IP addresses (RFC 5280, subjectAltName). */
	readonly names?: readonly string[];
	readonly addresses?: readonly string[];
	readonly usages: ReadonlyArray<'server' | 'client'>;
}

/** What a file on a machine holds. */
export type FileContent =
	| {readonly text: string}
	/** The authority's own certificate, PEM. */
	| {readonly authority: string}
	/** The authority's private key, PEM (PKCS #8): for a controller manager that signs. */
	| {readonly authorityKey: string}
	/** The issued certificate, PEM; the same request names the same certificate and key. */
	| {readonly certificate: CertificateRequest}
	/** Its private key, PEM (PKCS #8, EC P-256). */
	| {readonly certificateKey: CertificateRequest}
	/** A key pair without certificate, by name: PEM, PKCS #8 or SPKI. */
	| {readonly keyPair: string; readonly part: 'private' | 'public'}
	/** The lab's ssh host key of this machine (OpenSSH format) or the key that may log in (authorized_keys line). */
	| {readonly ssh: 'host-key' | 'authorized-key'}
	/** A symbolic link. */
	| {readonly link: string};

/** A file whose content depends on the machine or the lab. */
export type FileDeclaration = {
	/** Absolute and usr-merged. */
	readonly path: string;
	/** Octal; default 0o644, keys 0o600. */
	readonly mode?: number;
} & FileContent;
