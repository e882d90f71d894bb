/**
 * The secrets of one lab: authorities, certificates and keys. Made on first use, kept in a private folder of the lab, and
 * the same for the same request as long as the lab lives. Certificates are as RFC 5280 has them.
 */
import 'reflect-metadata';
import {webcrypto} from 'node:crypto';
import {mkdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import {digestOf} from '../host/digest.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {generateSshKeys, type SshKeyPair, type SshKeyUse} from '../machine/keys.ts';
import type {CertificateRequest} from '../spec/secret.ts';

const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'} as const;
const hour = 3_600_000;
/** The host's clock and a guest's differ by little; what is frozen lives on for as long as somebody keeps it. */
const validSince = hour;
const validFor = 10 * 365 * 24 * hour;

const crypto = webcrypto as webcrypto.Crypto;
x509.cryptoProvider.set(crypto);

/** A certificate or a public key, and the private key that belongs to it, as PEM. */
export interface PemPair {
	/** A certificate, or a public key (SPKI). */
	readonly public: string;
	/** PKCS #8. */
	readonly private: string;
}

/** The secrets of a lab, by what they are asked for. Everything rejects with the system's error when it cannot be written. */
export interface LabSecrets {
	/** An authority's own certificate and its key. */
	authority(name: string): Promise<PemPair>;
	/** A certificate that its authority issued, and its key. Names, addresses and usages in another order are the same request. */
	certificate(request: CertificateRequest): Promise<PemPair>;
	/** A key pair without certificate. */
	keyPair(name: string): Promise<PemPair>;
	/** The ssh host key of a machine. */
	hostKey(machine: string): Promise<SshKeyPair>;
	/** The key that may log in to all machines. */
	loginKey(): Promise<SshKeyPair>;
}

/** In a lab's folder: the folder of all secrets but the key for ssh. */
export const secretsFolder = 'secrets';
/** The private key for ssh, in a lab's folder: users may want to give it to their own ssh. */
export const loginKeyFile = 'ssh-key';

/** Opens the secrets of the lab that has this folder. What is there already is used. */
export function openSecrets(labFolder: string): LabSecrets {
	const folder = path.join(labFolder, secretsFolder);
	const asked = new Map<string, Promise<PemPair>>();

	/** The pair of that name: known, on disk, or made now. */
	const once = async (files: {private: string; public: string}, make: () => Promise<PemPair>): Promise<PemPair> => {
		let pair = asked.get(files.private);
		if (pair === undefined) {
			pair = readOrMake(files, make);
			asked.set(files.private, pair);
		}

		return pair;
	};

	const readOrMake = async (files: {private: string; public: string}, make: () => Promise<PemPair>): Promise<PemPair> => {
		try {
			const [publicText, privateText] = await Promise.all([readFile(files.public, 'utf8'), readFile(files.private, 'utf8')]);
			return {public: publicText, private: privateText};
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
				throw error;
			}
		}

		const made = await make();
		await mkdir(folder, {recursive: true, mode: 0o700});
		await writeFileWhole(files.private, made.private, 0o600);
		await writeFileWhole(files.public, made.public, 0o600);
		return made;
	};

	const filesOf = (kind: string, name: string): {private: string; public: string} => {
		const base = path.join(folder, `${kind}-${encodeURIComponent(name)}`);
		return {private: `${base}.key`, public: `${base}.crt`};
	};

	const sshKeys = async (use: SshKeyUse, file: string, comment: string): Promise<SshKeyPair> => {
		const pair = await once({private: file, public: `${file}.pub`}, async () => {
			const keys = await generateSshKeys(use, comment);
			return {private: keys.privateKey, public: `${keys.publicKey}\n`};
		});
		return {privateKey: pair.private, publicKey: pair.public.trim()};
	};

	const secrets: LabSecrets = {
		authority: async (name) => once(filesOf('authority', name), async () => makeAuthority(name)),
		async certificate(request) {
			const whole = canonical(request);
			const name = `${request.authority}-${request.commonName}-${digestOf(whole).slice(0, 16)}`;
			return once(filesOf('certificate', name), async () => issue(await secrets.authority(request.authority), whole));
		},
		keyPair: async (name) => once(filesOf('pair', name), makeKeyPair),
		hostKey: async (machine) => sshKeys('host', path.join(folder, `host-${encodeURIComponent(machine)}`), machine),
		loginKey: async () => sshKeys('login', path.join(labFolder, loginKeyFile), 'vmlab'),
	};
	return secrets;
}

function canonical(request: CertificateRequest): Required<CertificateRequest> {
	const {authority, commonName, organizations = [], names = [], addresses = [], usages} = request;
	const sorted = <Text extends string>(texts: readonly Text[]): Text[] => [...new Set(texts)].sort();
	return {authority, commonName, organizations: sorted(organizations), names: sorted(names), addresses: sorted(addresses), usages: sorted(usages)};
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
	return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
	return pem(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function pem(bytes: ArrayBuffer, label: string): string {
	return `${x509.PemConverter.encode(bytes, label)}\n`;
}

async function makeKeyPair(): Promise<PemPair> {
	const keys = await generateKeys();
	return {public: pem(await crypto.subtle.exportKey('spki', keys.publicKey), 'PUBLIC KEY'), private: await privatePem(keys.privateKey)};
}

/** A positive number of 16 bytes; RFC 5280 allows 20. */
function serialNumber(): string {
	const bytes = Buffer.from(crypto.getRandomValues(new Uint8Array(16)));
	bytes[0] = (bytes[0]! & 0x7f) | 0x40;
	return bytes.toString('hex');
}

/** Of an authority. What it issues is valid as long as itself, from the same day: a fork that lives in the past must take it too. */
function validity(): {notBefore: Date; notAfter: Date} {
	return {notBefore: new Date(Date.now() - validSince), notAfter: new Date(Date.now() + validFor)};
}

async function makeAuthority(name: string): Promise<PemPair> {
	const keys = await generateKeys();
	const certificate = await x509.X509CertificateGenerator.createSelfSigned({
		serialNumber: serialNumber(),
		name: [{CN: [`vmlab ${name}`]}],
		...validity(),
		keys,
		signingAlgorithm: algorithm,
		extensions: [
			new x509.BasicConstraintsExtension(true, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
			await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
		],
	});
	return {public: `${certificate.toString('pem')}\n`, private: await privatePem(keys.privateKey)};
}

async function issue(authority: PemPair, request: Required<CertificateRequest>): Promise<PemPair> {
	const issuer = new x509.X509Certificate(authority.public);
	const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.private), algorithm, false, ['sign']);
	const keys = await generateKeys();
	const usages = {server: x509.ExtendedKeyUsage.serverAuth, client: x509.ExtendedKeyUsage.clientAuth};
	const names: x509.JsonGeneralNames = [
		...request.names.map((value) => ({type: 'dns' as const, value})),
		...request.addresses.map((value) => ({type: 'ip' as const, value})),
	];
	const certificate = await x509.X509CertificateGenerator.create({
		serialNumber: serialNumber(),
		subject: [...request.organizations.map((organization) => ({O: [organization]})), {CN: [request.commonName]}],
		issuer: issuer.subjectName,
		notBefore: issuer.notBefore,
		notAfter: issuer.notAfter,
		signingKey,
		signingAlgorithm: algorithm,
		publicKey: keys.publicKey,
		extensions: [
			new x509.BasicConstraintsExtension(false, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
			new x509.ExtendedKeyUsageExtension(request.usages.map((usage) => usages[usage])),
			...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
			await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
			await x509.AuthorityKeyIdentifierExtension.create(issuer, false, crypto),
		],
	});
	return {public: `${certificate.toString('pem')}\n`, private: await privatePem(keys.privateKey)};
}
