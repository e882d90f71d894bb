/** The fabric's own thread: carries frames, whatever else the process is busy with. Speaks `FabricRequest` and `FabricAnswer`. */
import {parentPort, workerData} from 'node:worker_threads';
import {type Captures, openCaptures} from './capture.ts';
import {linkNames} from './capture-request.ts';
import type {FabricAnswer, FabricArgument, FabricDeclaration, FabricQuestions, FabricRequest} from './fabric.ts';
import {type Network, openNetwork} from './network.ts';

const {folder, networks: declarations} = workerData as FabricDeclaration;
const networks: Network[] = [];
const captures: Captures = openCaptures(folder, linkNames(declarations));

function answer(message: FabricAnswer): void {
	parentPort?.postMessage(message);
}

async function close(): Promise<void> {
	await Promise.all([captures.close(), ...networks.map(async (network) => network.close())]);
}

/** Resolves after one turn of the event loop, in which each socket that has something was read. */
async function turn(): Promise<void> {
	return new Promise((resolve) => {
		setImmediate(resolve);
	});
}

/** Turns without a frame after which nothing more comes: a socket that has something is read in each turn. */
const quietTurns = 3;

const answers: {readonly [Question in keyof FabricQuestions]: (argument: FabricArgument<Question>) => FabricQuestions[Question] | Promise<FabricQuestions[Question]>} = {
	report: () => networks.flatMap((network) => network.report()),
	traffic: () => networks.flatMap((network) => network.traffic()),
	links: () => networks.flatMap((network) => network.links()),
	changeLink(change) {
		for (const network of networks) {
			const before = network.changeLink(change);
			if (before !== undefined) {
				return before;
			}
		}

		throw new Error(`there is no link ${change.link}`);
	},
	async hold() {
		for (const network of networks) {
			network.hold();
		}

		// A machine that does not read keeps what it was given waiting: that is lost, like frames for a full queue.
		for (let turns = 0; turns < 1000 && !networks.every(({flushed}) => flushed); turns++) {
			await turn();
		}

		return undefined;
	},
	async state() {
		const taken = (): number => networks.reduce((sum, network) => sum + network.taken, 0);
		for (let quiet = 0, last = taken(); quiet < quietTurns; quiet++) {
			await turn();
			if (taken() !== last) {
				last = taken();
				quiet = 0;
			}
		}

		return networks.map((network) => network.state());
	},
	release() {
		for (const network of networks) {
			network.release();
		}

		return undefined;
	},
	capture: async (request) => captures.open(request),
};

parentPort?.on('message', async (request: FabricRequest) => {
	if (request.ask !== 'stop') {
		try {
			answer({tell: 'answer', id: request.id, value: await (answers[request.ask] as (argument: unknown) => FabricQuestions[keyof FabricQuestions])(request.argument)});
		} catch (error) {
			answer({tell: 'refused', id: request.id, reason: error instanceof Error ? error.message : String(error)});
		}

		return;
	}

	await close();
	answer({tell: 'stopped'});
	parentPort?.close();
});

try {
	let first = 0;
	for (const declaration of declarations) {
		// Links are numbered through all networks, in the order of their names.
		const before = first;
		first += declaration.ports.length;
		networks.push(await openNetwork(declaration, folder, {
			record(link, direction, time, buffer, start, end, reason) {
				captures.record(before + link, direction, time, buffer, start, end, reason);
			},
			recordPassage(from, to, time, buffer, start, end) {
				captures.recordPassage(before + from, before + to, time, buffer, start, end);
			},
		}));
	}

	answer({tell: 'ready'});
} catch (error) {
	await close();
	answer({tell: 'failed', reason: error instanceof Error ? error.message : String(error)});
	parentPort?.close();
}
