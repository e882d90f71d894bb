/** A real browser for tests: Chromium without a window, by the Chrome DevTools protocol over two pipes. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import path from 'node:path';
import type {Readable, Writable} from 'node:stream';
import {pathToFileURL} from 'node:url';
import {installPackages} from '../../lab/host/install.ts';
import {findProgram} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {timeLimit, until} from '../../lab/host/wait.ts';

/** A page that was opened, and what the browser said about it. */
export interface Page {
	/** The value of an expression in the page; it must be JSON. */
	evaluate<Value>(expression: string): Promise<Value>;
	/** Addresses that were asked for, the page's own first. */
	readonly requests: readonly string[];
	/** Errors and warnings of the page and of the browser about it. */
	readonly complaints: readonly string[];
	/** As PNG. */
	screenshot(): Promise<Buffer>;
}

interface Message {
	readonly id?: number;
	readonly method?: string;
	readonly sessionId?: string;
	readonly params?: any;
	readonly result?: any;
	readonly error?: {readonly message: string};
}

/** Milliseconds that a browser may take to open a page, on a busy computer. */
const deadline = 120_000;

/** The path of the browser; it is installed where it is missing and that can be done. Throws `install-by-hand`. */
async function browserProgram(): Promise<string> {
	const found = await findProgram('chromium');
	if (found !== undefined) {
		return found;
	}

	await installPackages(['chromium'], {signal: timeLimit(600_000), say() {}});
	return await findProgram('chromium') ?? 'chromium';
}

/** Opens a file in a window of so many pixels, and ends the browser when `use` has. */
export async function withPage<Value>(file: string, size: {width: number; height: number}, use: (page: Page) => Promise<Value>): Promise<Value> {
	const program = await browserProgram();
	return withTemporaryFolder(async (profile) => {
		// Its own sandbox wants rights that root in a container does not have; it opens one file of ours.
		const child = spawn(program, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--no-first-run', '--remote-debugging-pipe', `--user-data-dir=${path.join(profile, 'profile')}`], {
			stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true, env: {...process.env, HOME: profile, TMPDIR: profile},
		});
		const ended = once(child, 'close');
		try {
			return await use(await openPage(child, file, size));
		} finally {
			// With the processes that it started, which share its group.
			process.kill(-child.pid!, 'SIGKILL');
			await ended;
		}
	});
}

async function openPage(child: ChildProcess, file: string, {width, height}: {width: number; height: number}): Promise<Page> {
	const [to, from] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
	const waiting = new Map<number, (message: Message) => void>();
	const requests: string[] = [];
	const complaints: string[] = [];
	let loaded = false;
	const hear = ({method, params}: Message): void => {
		if (method === 'Network.requestWillBeSent') {
			requests.push(params.request.url as string);
		} else if (method === 'Log.entryAdded' || method === 'Runtime.exceptionThrown') {
			complaints.push(String(params.entry?.text ?? params.exceptionDetails?.text));
		} else if (method === 'Page.loadEventFired') {
			loaded = true;
		}
	};

	let rest = '';
	from.setEncoding('utf8').on('data', (chunk: string) => {
		const messages = (rest + chunk).split('\0');
		rest = messages.pop() ?? '';
		for (const text of messages) {
			const message = JSON.parse(text) as Message;
			if (message.id === undefined) {
				hear(message);
			} else {
				waiting.get(message.id)?.(message);
			}
		}
	});
	to.on('error', () => {});
	let count = 0;
	const call = async (method: string, params: object = {}, sessionId?: string): Promise<any> => {
		count += 1;
		const id = count;
		const answer = new Promise<Message>((resolve, reject) => {
			waiting.set(id, resolve);
			child.once('close', (code) => {
				reject(new Error(`the browser ended with ${code} before it answered ${method}`));
			});
		});
		to.write(`${JSON.stringify({id, method, params, sessionId})}\0`);
		const {result, error} = await answer;
		if (error !== undefined) {
			throw new Error(`${method}: ${error.message}`);
		}

		return result;
	};

	child.setMaxListeners(0);
	const {targetId} = await call('Target.createTarget', {url: 'about:blank'});
	const {sessionId} = await call('Target.attachToTarget', {targetId, flatten: true});
	for (const domain of ['Page', 'Log', 'Runtime', 'Network']) {
		await call(`${domain}.enable`, {}, sessionId);
	}

	await call('Emulation.setDeviceMetricsOverride', {width, height, deviceScaleFactor: 1, mobile: false}, sessionId);
	loaded = false;
	requests.length = 0;
	await call('Page.navigate', {url: pathToFileURL(file).href}, sessionId);
	await until('the page is loaded', async () => (loaded ? {met: true, value: undefined} : {met: false, seen: complaints.join('; ') || 'nothing yet'}), {deadline, interval: 50});
	return {
		requests, complaints,
		async evaluate<Value>(expression: string): Promise<Value> {
			const {result, exceptionDetails} = await call('Runtime.evaluate', {expression: `JSON.stringify(${expression})`, returnByValue: true}, sessionId);
			if (exceptionDetails !== undefined) {
				throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
			}

			return JSON.parse(result.value as string) as Value;
		},
		screenshot: async () => Buffer.from((await call('Page.captureScreenshot', {captureBeyondViewport: true}, sessionId)).data as string, 'base64'),
	};
}
