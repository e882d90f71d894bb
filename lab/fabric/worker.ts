/** The fabric's own thread: carries frames, whatever else the process is busy with. Speaks `FabricRequest` and `FabricAnswer`. */
import {parentPort, workerData} from 'node:worker_threads';
import type {FabricAnswer, FabricDeclaration, FabricRequest} from './fabric.ts';
import {type Network, openNetwork} from './network.ts';

const {folder, networks: declarations} = workerData as FabricDeclaration;
const networks: Network[] = [];

function answer(message: FabricAnswer): void {
	parentPort?.postMessage(message);
}

async function close(): Promise<void> {
	await Promise.all(networks.map(async (network) => network.close()));
}

parentPort?.on('message', async (request: FabricRequest) => {
	if (request.ask === 'report') {
		answer({tell: 'report', id: request.id, ports: networks.flatMap((network) => network.report())});
		return;
	}

	await close();
	answer({tell: 'stopped'});
	parentPort?.close();
});

try {
	for (const declaration of declarations) {
		networks.push(await openNetwork(declaration, folder));
	}

	answer({tell: 'ready'});
} catch (error) {
	await close();
	answer({tell: 'failed', reason: error instanceof Error ? error.message : String(error)});
	parentPort?.close();
}
