/** A cluster that is declared IPv6-only gets Ready, and has no IPv4 where it was not declared. */
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {benchFor} from '../rig/machines.ts';
import {withProject} from '../rig/project.ts';

const bench = benchFor(test);

const scenario = `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A cluster of one node without IPv4',
	budget: '2m',
	lab: {
		families: ['ipv6'],
		machines: {node: {count: 1, cpus: 2, memory: '3GiB'}, router: {count: 1, memory: '256MiB'}},
		overlays: ['base', 'kubernetes', 'coredns', 'cni-bridge'],
	},
	async steps({node, cluster, step}) {
		await step('the node is Ready with its IPv6 address alone', async () => {
			const {items} = await cluster.get('nodes');
			const addresses = items[0].status.addresses.filter(({type}: {type: string}) => type === 'InternalIP').map(({address}: {address: string}) => address);
			if (addresses.join() !== '1000::1:c0a8:101') {
				throw new Error(\`its addresses are \${addresses.join(' ')}\`);
			}
		});
		await step('no interface outside of the maintenance VRF has an IPv4 address but the loopback', async () => {
			const {stdout} = await node('node-1').$\`ip -4 -o address show\`;
			const foreign = stdout.split('\\n').filter((line) => line !== '' && !/ 127\\.0\\.0\\.1\\/8 | 10\\.0\\.2\\.15\\/24 /.test(line));
			if (foreign.length > 0) {
				throw new Error(foreign.join('; '));
			}
		});
		await step('the main table has no IPv4 route', async () => {
			const {stdout} = await node('node-1').$\`ip -4 route show table main\`;
			if (stdout.trim() !== '') {
				throw new Error(stdout);
			}
		});
		await step('cluster DNS answers with the API server\\'s IPv6 address', async () => {
			await node('node-1').$\`getent ahostsv6 kubernetes.default.svc.cluster.local\`;
		});
	},
});
`;

test.serial('a cluster that is declared IPv6-only gets Ready and answers over the host\'s forward', async (t) => {
	t.timeout(50 * 60_000);
	await withProject({'scripts/v6.ts': scenario}, async ({folder}) => {
		await bench.expect(t, 0, ['run', 'v6'], {env: {VMLAB_PROJECT: folder}, cwd: packageFolder});
	});
});
