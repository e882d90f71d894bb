/**
 * Downloads by curl(1): it knows the proxies, the certificates and the odd servers of this world, and tells a cut download from a
 * whole one.
 */
import {rm} from 'node:fs/promises';
import {LabError} from '../../host/error.ts';
import {run} from '../../host/program.ts';

/** How a file is downloaded. */
export interface DownloadOptions {
	readonly signal: AbortSignal;
	readonly log: string;
	/** Most of it that is tolerated, in bytes. */
	readonly largest?: number;
}

/** Where there is no network, this shows soon. Seconds. */
const connectTimeout = 5;
/** A transfer that is slower than this (bytes a second) for so long (seconds) has died. */
const slowest = {rate: 1024, seconds: 30};
/** How often a cut transfer is taken up again. */
const attempts = 4;
/** What curl's exit codes say: cut in the middle (partial file, reset, too slow, HTTP/2 stream), and cannot be taken up (man 1 curl). */
const cut = [18, 28, 56, 92];
const cannotResume = [33, 36];
/** Not even a connection: no such proxy or host, refused, or silent; certificates, too, are not better a second later. */
const unreachable = [5, 6, 7, 35, 60];

/** Hosts that could not be reached, with why: one that is asked for ten components is waited for only once. */
const silentHosts = new Map<string, LabError>();

/**
 * Downloads a file. A download that is cut is taken up where it was, or begun again where the server cannot do that.
 *
 * @throws `program-failed`, with what curl says
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
	const {host} = new URL(url);
	const silent = silentHosts.get(host);
	if (silent !== undefined) {
		throw silent;
	}

	for (let attempt = 1; ; attempt++) {
		try {
			await transfer(url, file, options);
			return;
		} catch (error) {
			const code = exitCodeOf(error);
			if (code !== undefined && (unreachable.includes(code) || (code === 28 && /onnection timed out|esolving timed out/.test((error as LabError).details.join('\n'))))) {
				silentHosts.set(host, error as LabError);
				throw error;
			}

			if (attempt === attempts || code === undefined || !(cut.includes(code) || cannotResume.includes(code))) {
				throw error;
			}

			if (cannotResume.includes(code)) {
				await rm(file, {force: true});
			}
		}
	}
}

async function transfer(url: string, file: string, {signal, log, largest}: DownloadOptions): Promise<void> {
	await run('curl', [
		'--fail', '--silent', '--show-error', '--location', '--proto', '=https,http', '--connect-timeout', String(connectTimeout),
		'--speed-limit', String(slowest.rate), '--speed-time', String(slowest.seconds),
		...(largest === undefined ? [] : ['--max-filesize', String(largest)]),
		'--continue-at', '-', '--output', file, url,
	], {signal, log, env: proxyEnvironment(process.env)});
}

/** The proxy variables as curl reads them: it takes the one for plain http in small letters only. */
export function proxyEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
	const plain = environment['http_proxy'] ?? environment['HTTP_PROXY'];
	return plain === undefined ? {} : {http_proxy: plain};
}

function exitCodeOf(error: unknown): number | undefined {
	const match = error instanceof LabError && error.code === 'program-failed' ? /exit code (\d+)$/.exec(error.message) : null;
	return match === null ? undefined : Number(match[1]);
}
