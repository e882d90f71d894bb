/**
 * The process that owns the lab of `vmlab up`: `node supervisor.js FOLDER`, where FOLDER is the lab's, claimed before and with
 * the request in it. Boots the lab, and holds it until somebody asks for its end or it gets SIGTERM or SIGINT. A boot that
 * nobody waits for any more is given up.
 */
import {readFile, rm} from 'node:fs/promises';
import path from 'node:path';
import {noEvents} from '../event/event.ts';
import {asLabError, exitCodes} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {identify} from '../host/process.ts';
import {openStore} from '../store/open-store.ts';
import {bootLab} from './lab.ts';
import {readRecord, writeRecord} from './lab-record.ts';
import {watchStarter} from './starter.ts';
import {requestFile, type SupervisorRequest} from './supervisor-request.ts';

/** Boots and holds the lab. Gives the exit code. */
async function supervise(folder: string): Promise<number> {
	const controller = new AbortController();
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(name, () => {
			controller.abort(failure.interrupted(name));
		});
	}

	const [record, text] = await Promise.all([readRecord(folder), readFile(path.join(folder, requestFile), 'utf8')]);
	if (record === undefined) {
		throw failure.supervisorLost(path.basename(folder), 'its folder has no record', []);
	}

	const {plan, made, clock, evidence, starter} = JSON.parse(text) as SupervisorRequest;
	const own = {...record, supervisor: await identify(process.pid, folder)};
	await writeRecord(folder, own);
	await rm(path.join(folder, requestFile));
	// The command that started it holds it until the lab is ready. Who removes it may look for labs in another folder than this one's.
	const holding = openStore().then(async (store) => store.hold(made.map(([, {key}]) => key), controller.signal)).catch((error: unknown) => {
		console.error(error);
	});
	const booted = new AbortController();
	void watchStarter(starter, booted.signal, () => {
		controller.abort(failure.interrupted('the end of the command that started it'));
	});
	const lab = await bootLab({
		name: record.name, scenario: record.scenario, plan, made: new Map(made), events: noEvents,
		signal: controller.signal, clock, evidence, claim: {folder, record: own}, supervised: true,
	});
	booted.abort();
	await holding;
	const end = (): void => {
		void lab.down().catch((error: unknown) => {
			console.error(error);
		});
	};

	controller.signal.addEventListener('abort', end);
	if (controller.signal.aborted) {
		end();
	}

	await lab.ended;
	return exitCodes.done;
}

try {
	process.exitCode = await supervise(process.argv[2] ?? '');
} catch (error) {
	// Who waits was told over the socket; this is for the log.
	console.error(error);
	process.exitCode = asLabError(error).exitCode;
}

// Nothing of the lab is left, and what a library still holds open is no reason to stay.
process.exit();
