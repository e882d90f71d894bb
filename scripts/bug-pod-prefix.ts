/**
 * The controller manager is to give each node its pod subnet, out of a prefix that is too small for the nodes.
 *
 * `--cluster-cidr` is what all nodes share: each gets a /64 (IPv6) or a /24 (IPv4) of it, or what `--node-cidr-mask-size-ipv6` and `-ipv4` say. Of a single /64 the
 * first node takes all. The second one registers and gets no `podCIDR`, in neither family, though the other one has room; an event
 * CIDRNotAvailable is all that tells, and CNIs that take the subnet from the node object do not start there. Cure: a larger prefix, or a longer mask.
 * A prefix that does not fit its mask at all (longer than it, or by IPv6 more than 16 bits shorter) is refused: the controller manager does not start.
 */
import {addressAt, claim, defineScenario, type MachineHandle, type StepContext} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';

const unit = 'kube-controller-manager.service';
const mistake = 'the mistake: the prefix of IPv6 is a single /64, and node-2 registers anew';
const symptom = 'symptom: node-2 gets no subnet, in neither family, and an event says CIDRNotAvailable';
const argumentsFile = '/etc/kubernetes/kube-controller-manager.env';

/** Restarts the controller manager so that it gives subnets to nodes, of these prefixes and with these further arguments. */
async function allocate(machine: MachineHandle, prefixes: readonly string[], further = ''): Promise<void> {
	const text = await machine.readFile(argumentsFile);
	const words = text.slice(text.indexOf('"') + 1, text.lastIndexOf('"')).split(' ').filter((word) => !/^--(allocate-node-cidrs|cluster-cidr|node-cidr-mask-size)/.test(word));
	await machine.writeFile(argumentsFile, `ARGUMENTS="${[...words, '--allocate-node-cidrs=true', `--cluster-cidr=${prefixes.join(',')}`, further].join(' ').trim()}"\n`);
	await machine.$`systemctl restart ${unit}`;
}

/** The subnets of a node, as its object has them. */
async function subnetsOf({cluster}: StepContext, name: string): Promise<string[]> {
	const {spec} = await cluster.get<{spec: {podCIDRs?: string[]}}>('node', name);
	return spec.podCIDRs ?? [];
}

/** Waits until a node has subnets, or an event says that there are none left for it, and gives both. */
async function awaitDecision(context: StepContext, name: string): Promise<{subnets: string[]; refusals: number}> {
	return context.eventually(`${name} gets a subnet, or an event says CIDRNotAvailable`, async () => {
		const subnets = await subnetsOf(context, name);
		const {items} = await context.cluster.get<{items: unknown[]}>('events', '--all-namespaces', '--field-selector', `involvedObject.name=${name},reason=CIDRNotAvailable`);
		claim(subnets.length > 0 || items.length > 0, `${name} has no subnet, and there is no such event`);
		return {subnets, refusals: items.length};
	}, {deadline: '60s'});
}

/** Waits until the node has subnets of all families, and gives them. */
async function awaitSubnets(context: StepContext, name: string): Promise<string[]> {
	return context.eventually(`${name} has a subnet of each family`, async () => {
		const subnets = await subnetsOf(context, name);
		claim(subnets.length === context.lab.families.length, `${name} has ${subnets.join(' and ') || 'none'}`);
		return subnets;
	}, {deadline: '60s'});
}

/** Claims that the controller manager that was started last ended by itself with these words. */
async function refuses({eventually}: StepContext, machine: MachineHandle, words: string, since: string): Promise<void> {
	await eventually(`the controller manager ends with "${words}"`, async () => {
		const {stdout} = await machine.$`journalctl --no-pager --output=cat -u ${unit} --since=@${since}`;
		const lines = stdout.split('\n');
		claim(lines.some((line) => line.includes(words)), 'it has not said so', lines.slice(-3));
		claim(lines.some((line) => line.includes('Main process exited')), 'it still runs', lines.slice(-3));
	}, {deadline: '60s'});
}

/** The machine's clock, as journalctl takes it. */
async function clock(machine: MachineHandle): Promise<string> {
	return (await machine.$`date +%s`).stdout;
}

export default defineScenario({
	summary: 'Bug: the pod prefix that the controller manager gives subnets out of is too small for the nodes',
	lab: clusterLab(['ipv4', 'ipv6']),
	budget: '5m',
	async steps(context) {
		const {lab, cluster, node, step, eventually} = context;
		const control = node('node-1');
		const second = node('node-2');
		const {ipv4, ipv6} = lab.pods;
		const first = control.machine.pods.ipv6;
		claim(ipv4 !== undefined && ipv6 !== undefined && first !== undefined, 'the lab has not both families');

		await step('control: each node has a pod subnet of each family', async () => {
			await awaitSubnets(context, control.name);
			await awaitSubnets(context, second.name);
		});

		await step(mistake, async () => {
			await second.$`systemctl stop kubelet.service`;
			await cluster.kubectl`delete node ${second.name}`;
			await allocate(control, [ipv4, first]);
			await second.$`systemctl start kubelet.service`;
			await eventually(`${second.name} has registered`, async () => cluster.get('node', second.name), {deadline: '60s'});
		});

		await step(symptom, async () => {
			const {subnets, refusals} = await awaitDecision(context, second.name);
			claim(subnets.length === 0 && refusals > 0, `node-2 has got ${subnets.join(' and ') || 'nothing'}, and ${refusals} events say CIDRNotAvailable`);
		});

		await step('cure: of a larger prefix it gets a subnet of each family', async () => {
			await allocate(control, [ipv4, ipv6]);
			const [, subnet] = await awaitSubnets(context, second.name);
			claim(subnet !== first && subnet?.endsWith('/64'), `node-2 has ${subnet}, and node-1 ${first}`);
		});

		await step('a prefix that is longer than its nodes\' mask is refused: the controller manager does not start', async () => {
			const since = await clock(control);
			await allocate(control, [ipv4, first], '--node-cidr-mask-size-ipv6=60');
			await refuses(context, control, 'mask size of cluster CIDR must be less than or equal to --node-cidr-mask-size', since);
		});

		await step('an IPv6 prefix that is more than 16 bits shorter than the mask is refused too', async () => {
			const since = await clock(control);
			await allocate(control, [ipv4, `${addressAt(ipv6, 0)}/40`]);
			await refuses(context, control, 'the node CIDR size is too big', since);
		});

		await step('cure: with a prefix that fits it runs', async () => {
			await allocate(control, [ipv4, ipv6]);
			await eventually('the controller manager is healthy', async () => control.$`curl -sk --fail --max-time 10 https://localhost:10257/healthz`, {deadline: '60s'});
		});
	},
	mutation: {
		summary: 'the controller manager is given the larger prefix at once',
		red: symptom,
		because: /node-2 has got \S+ and \S+/,
		before: symptom,
		async apply(context) {
			const {ipv4 = '', ipv6 = ''} = context.lab.pods;
			await allocate(context.node('node-1'), [ipv4, ipv6]);
			await awaitSubnets(context, 'node-2');
		},
	},
});
