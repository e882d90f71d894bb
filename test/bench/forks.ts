/** Rows of freezing and forking the whole lab of `ipv4`. What is cold is measured once: a power-on of it takes minutes under TCG. */
import {mkdir, readFile} from 'node:fs/promises';
import {request} from 'node:https';
import path from 'node:path';
import {parse} from 'yaml';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {readyLabName} from '../../lab/plan/ready-lab.ts';
import type {Lab} from '../../lab/runtime/lab.ts';
import {readLab} from '../../lab/runtime/labs.ts';
import {readEvents} from '../rig/events-file.ts';
import {inputsOfReadyLab} from './compiled.ts';
import {copiesOfIpv4, type PreparedLab, prepareFork, wholeScenario, withFork, withForkProject} from './fork-project.ts';
import {median, mustRun, round, type Row, type RowSink} from './measure.ts';
import {diskUse, ownMemory} from './memory-use.ts';

const mebibyte = 1024 ** 2;
/** Forks of each kind; one before them fills the page cache. */
const forks = 5;
/** Freezes of the whole lab. */
const freezes = 5;
/** Milliseconds that labs idle before their memory is looked at. */
const idle = 60_000;
/** Milliseconds that a fork may take to answer, whatever the computer is busy with. */
const answerDeadline = 120_000;
/** Milliseconds that a Service may take to come up in a lab under TCG. */
const serviceDeadline = 900_000;

/** The rows of the whole lab. Those that need the lab with a Service share one fork of it. */
export async function measureForks(wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await withForkProject(async () => {
		const prepared = await prepareFork(wholeScenario);
		const all = async (rows: readonly Row[]): Promise<void> => {
			for (const row of rows) {
				await found(row);
			}
		};

		if (wanted.has('frozen-size-ratio')) {
			await found(await measureSize(prepared));
		}

		if (wanted.has('fork-to-api')) {
			await found(await measureForkToApi(prepared));
		}

		if (wanted.has('fork-to-service') || wanted.has('freeze-standstill')) {
			await all(await measureWithService(prepared));
		}

		if (wanted.has('fork-to-step-ratio') || wanted.has('fork-memory-ratio')) {
			await all(await measureAgainstCold());
		}

		if (wanted.has('forks-side-by-side')) {
			await found(await measureSideBySide());
		}
	});
}

function memoryOf({plan}: PreparedLab): number {
	return plan.machines.reduce((sum, {memory}) => sum + memory, 0);
}

async function measureSize(prepared: PreparedLab): Promise<Row> {
	const bytes = await diskUse(prepared.made.get(readyLabName)!.folder);
	const ratio = bytes / memoryOf(prepared);
	return {
		name: 'frozen-size-ratio', value: round(ratio), unit: 'times', goal: '< 0.33', met: ratio < 0.33,
		compared: {'frozen lab on the disk, MiB': round(bytes / mebibyte), 'memory of its machines, MiB': round(memoryOf(prepared) / mebibyte)},
	};
}

/** Asks the API server by the lab's kubeconfig, without kubectl, until it says that it is ready. */
async function untilApiAnswers(kubeconfig: string): Promise<void> {
	const {clusters: [{cluster}], users: [{user}]} = parse(await readFile(kubeconfig, 'utf8')) as {
		clusters: [{cluster: Record<string, string>}]; users: [{user: Record<string, string>}];
	};
	const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
	const ask = async (): Promise<number> => new Promise((resolve, reject) => {
		const asked = request(`${cluster['server']}/readyz`, {
			ca: bytes(cluster['certificate-authority-data']), cert: bytes(user['client-certificate-data']), key: bytes(user['client-key-data']), agent: false, timeout: 5000,
		}, (response) => {
			response.resume().on('end', () => {
				resolve(response.statusCode ?? 0);
			});
		});
		asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s'))).on('error', reject).end();
	});
	await until('the API server is ready', async () => {
		const status = await ask();
		return status === 200 ? {met: true, value: undefined} : {met: false, seen: `status ${status}`};
	}, {deadline: answerDeadline, interval: 20});
}

/** From the start of the fork in this process, with the frozen lab at hand, to the API server's answer on its forwarded port. */
async function measureForkToApi(prepared: PreparedLab): Promise<Row> {
	const times: Array<{ready: number; answered: number}> = [];
	for (let round = 0; round <= forks; round++) {
		const start = performance.now();
		await withFork(prepared, async (lab) => {
			const ready = (performance.now() - start) / 1000;
			await untilApiAnswers(lab.kubeconfig!);
			times.push({ready, answered: (performance.now() - start) / 1000});
		});
	}

	const measured = times.slice(1);
	const seconds = median(measured.map(({answered}) => answered));
	return {
		name: 'fork-to-api', value: round(seconds), unit: 's', goal: '< 1.5', met: seconds < 1.5,
		compared: {
			'of these until the fork is ready, s': round(median(measured.map(({ready}) => ready))), 'quickest, s': round(Math.min(...measured.map(({answered}) => answered))),
			'the first of the process, s': round(times[0]!.answered), forks,
		},
	};
}

/** Makes a Service with two pods and an external address, and waits until it answers the tester. Gives its URL. */
async function makeService(lab: Lab): Promise<string> {
	const {images} = JSON.parse((await mustRun(['overlay', 'show', 'kubernetes', '-o', 'json'])).stdout) as {images: string[]};
	const image = images.find((reference) => reference.includes('/agnhost:'))!;
	const kubectl = async (...words: string[]): Promise<string> => (await mustRun(['kubectl', lab.name, '--', ...words])).stdout.trim();
	await kubectl('create', 'deployment', 'bench', `--image=${image}`, '--replicas=2', '--', '/agnhost', 'netexec', '--http-port=8080');
	await kubectl('expose', 'deployment', 'bench', '--type=LoadBalancer', '--port=80', '--target-port=8080');
	return until('the Service answers the tester', async () => {
		const address = await kubectl('get', 'service', 'bench', '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}');
		const ready = await kubectl('get', 'deployment', 'bench', '-o', 'jsonpath={.status.readyReplicas}');
		const url = `http://${address}/hostname`;
		return address !== '' && ready === '2' && await answersTester(lab, url) ? {met: true, value: url} : {met: false, seen: `address ${address}, ready ${ready}`};
	}, {deadline: serviceDeadline, interval: 2000});
}

/** Does it answer the tester? By a login of its own. */
async function answersTester(lab: Lab, url: string): Promise<boolean> {
	const connection = await lab.ssh('tester-1');
	try {
		return (await connection.exec(`curl -sf -m 5 ${url}`, {timeout: answerDeadline})).exitCode === 0;
	} finally {
		connection.close();
	}
}

/** A fork with a Service is frozen while it goes on, several times; then what was frozen last is forked. */
async function measureWithService(prepared: PreparedLab): Promise<Row[]> {
	const inputs = await inputsOfReadyLab(prepared.plan, prepared.made);
	return withTemporaryFolder(async (folder) => {
		const frozen: Array<{stood: number; seconds: number; bytes: number; answered: boolean}> = [];
		let stood = 0;
		let target = '';
		const url = await withFork(prepared, async (lab) => {
			const service = await makeService(lab);
			for (let round = 0; round < freezes; round++) {
				target = path.join(folder, `frozen-${round}`);
				await mkdir(target);
				const start = performance.now();
				await lab.freeze(target, inputs, {goesOn: true});
				const seconds = (performance.now() - start) / 1000;
				const answered = await until('the Service answers after the freeze', async () => (
					await answersTester(lab, service) ? {met: true, value: true} : {met: false, seen: 'silence'}
				), {deadline: answerDeadline, interval: 50}).catch(() => false);
				frozen.push({stood, seconds, bytes: await diskUse(target), answered});
			}

			return service;
		}, {events: (event) => {
			stood = event.type === 'lab' && event.reason === 'frozen' ? event.seconds ?? stood : stood;
		}});

		const made = new Map([...prepared.made, [readyLabName, {...prepared.made.get(readyLabName)!, folder: target}]]);
		const times: number[] = [];
		for (let round = 0; round <= forks; round++) {
			const start = performance.now();
			await withFork({plan: prepared.plan, made}, async (lab) => {
				await until('the Service answers the tester', async () => (await answersTester(lab, url) ? {met: true, value: undefined} : {met: false, seen: 'silence'}), {deadline: answerDeadline, interval: 20});
				times.push((performance.now() - start) / 1000);
			});
		}

		const standstill = median(frozen.map((one) => one.stood)) * 1000;
		const serves = frozen.filter(({answered}) => answered).length;
		const seconds = median(times.slice(1));
		const rows: Row[] = [{
			name: 'freeze-standstill', value: round(standstill), unit: 'ms', goal: '< 500', met: standstill < 500 && serves === freezes,
			compared: {
				'copying besides, s': round(median(frozen.map((one) => one.seconds - one.stood))), 'on the disk, MiB': round(median(frozen.map(({bytes}) => bytes)) / mebibyte),
				'the Service answered afterwards, times': serves, freezes,
			},
		}, {
			name: 'fork-to-service', value: round(seconds), unit: 's', goal: '< 3', met: seconds < 3,
			compared: {'quickest, s': round(Math.min(...times)), 'the first, s': round(times[0]!), forks},
		}];
		return rows;
	});
}

/** The processes of a lab that runs by itself: its machines, and its supervisor. */
async function processesOfLab(lab: string): Promise<number[]> {
	const {machines, supervisor} = await readLab(lab);
	return [supervisor.pid, ...machines.flatMap(({pid}) => (pid === null ? [] : [pid]))];
}

/** Bytes that a lab has to itself when it has idled for a minute. */
async function idleMemory(lab: string): Promise<number> {
	const since = Date.now();
	await until(`${lab} has idled`, async () => (Date.now() - since >= idle ? {met: true, value: undefined} : {met: false, seen: 'not yet'}), {deadline: 2 * idle});
	return ownMemory(await processesOfLab(lab));
}

/** Runs the scenario with the lab kept, and gives seconds from the process's start until its first step begins. */
async function timeFirstStep(words: readonly string[]): Promise<number> {
	return withTemporaryFolder(async (folder) => {
		const start = Date.now();
		await mustRun(['run', wholeScenario, '--report', folder, ...words]);
		const step = (await readEvents(path.join(folder, 'events.jsonl'))).find((event) => event.type === 'step' && event.reason === 'started');
		return (step!.at - start) / 1000;
	});
}

/** `vmlab run` to its first step, cold and forked; and what each such lab has in memory. Cold once, since it takes minutes. */
async function measureAgainstCold(): Promise<Row[]> {
	const forked: number[] = [];
	for (let round = 0; round <= forks; round++) {
		forked.push(await timeFirstStep([]));
	}

	const names = ['first', 'further'].map((which) => `bench-${which}-${process.pid}`);
	let added: number;
	try {
		for (const name of names) {
			await mustRun(['up', wholeScenario, '--name', name]);
		}

		added = await idleMemory(names[1]!);
	} finally {
		for (const name of names) {
			await mustRun(['down', name]);
		}
	}

	let cold: number;
	let coldMemory: number;
	try {
		cold = await timeFirstStep(['--cold', '--keep']);
		coldMemory = await idleMemory(wholeScenario);
	} finally {
		await mustRun(['down', wholeScenario]);
	}

	const seconds = median(forked.slice(1));
	return [{
		name: 'fork-to-step-ratio', value: round(cold / seconds), unit: 'times', goal: '> 100', met: cold / seconds > 100,
		compared: {'cold, s': round(cold), 'forked, s': round(seconds), 'quickest, s': round(Math.min(...forked)), 'cold runs': 1, forks},
	}, {
		name: 'fork-memory-ratio', value: round(added / coldMemory), unit: 'times', goal: '< 0.25', met: added / coldMemory < 0.25,
		compared: {'a further fork after a minute, MiB': round(added / mebibyte), 'a cold lab after a minute, MiB': round(coldMemory / mebibyte), forks: 1, 'cold labs': 1},
	}];
}

/** Four labs at once, each with all steps of `ipv4`; against one of them alone, four times. */
async function measureSideBySide(): Promise<Row> {
	const seconds = async (words: readonly string[]): Promise<{seconds: number; passed: number}> => {
		const start = performance.now();
		const {stdout} = await mustRun(['run', ...words, '-o', 'json']);
		return {seconds: (performance.now() - start) / 1000, passed: (JSON.parse(stdout) as Array<{passed: boolean}>).filter(({passed}) => passed).length};
	};

	const alone = await seconds([copiesOfIpv4[0]!]);
	const together = await seconds([...copiesOfIpv4, '--jobs', String(copiesOfIpv4.length)]);
	return {
		name: 'forks-side-by-side', value: together.passed, unit: 'labs', goal: `${copiesOfIpv4.length} pass`, met: together.passed === copiesOfIpv4.length,
		compared: {'all at once, s': round(together.seconds), 'one alone, s': round(alone.seconds), 'at once against one after another, times': round(together.seconds / (copiesOfIpv4.length * alone.seconds))},
	};
}
