/** A network with a NIC at each of its ports. */
import path from 'node:path';
import {type Network, type NetworkDeclaration, openNetwork} from '../../lab/fabric/network.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {connectNic, type Nic} from './nic.ts';

/** Opens a network for as long as `use` takes; `networks` names the links of its ports, which are as many: undefined where that is the network itself. */
export async function withNics(declaration: Omit<NetworkDeclaration, 'ports'>, networks: ReadonlyArray<string | undefined>, use: (network: Network, nics: Nic[]) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const network = await openNetwork({
			...declaration, ports: networks.map((own, index) => ({name: `node-${index}`, socket: `${index}.sock`, ...(own !== undefined && {network: own})})),
		}, folder);
		const nics = await Promise.all(networks.map(async (_, index) => connectNic(path.join(folder, `${index}.sock`))));
		try {
			await use(network, nics);
		} finally {
			for (const nic of nics) {
				nic.socket.destroy();
			}

			await network.close();
		}
	});
}

/** Waits until the network has taken so many frames. */
export async function taken(network: Network, count: number): Promise<void> {
	await until(`${count} frames are taken`, async () => (network.taken >= count ? {met: true, value: undefined} : {met: false, seen: `${network.taken}`}), {deadline: 20_000, interval: 20});
}
