/** Services: by their cluster address, on the nodes' ports, and by an external address over the router. */
import {addressAt, claim, countEach, findUneven, urlHost, type ClusterHandle, type Family, type LabTopology, type MachineHandle, type PerFamily} from 'vmlab';
import {addressIn} from './address.ts';
import {onMachine, type Caller} from './caller.ts';
import {byFamily, serverPort, type Pod} from './test-server.ts';

/** The port of all Services here. */
export const servicePort = 5001;

/** A Service as the cluster has it. */
export interface Service {
	readonly name: string;
	readonly cluster: PerFamily<string>;
	readonly nodePort?: number;
	/** By LoadBalancer status. */
	readonly external: PerFamily<string>;
}

/** Which policy a Service has for traffic from outside; undefined for one that has only cluster addresses. */
export type ExternalPolicy = 'Cluster' | 'Local' | undefined;

/** A Service's manifest. `place` is that of its addresses in the external subnets: 2 for 10.0.0.2 and 1000::2. The field of the specification takes one address, the annotation one in each family. */
export function service(lab: LabTopology, name: string, app: string, policy?: ExternalPolicy, place?: number): object {
	const asked = place === undefined ? [] : lab.families.flatMap((family) => lab.external[family] ?? []).map((subnet) => addressAt(subnet, place));
	return {
		apiVersion: 'v1',
		kind: 'Service',
		metadata: {name, ...(asked.length > 1 && {annotations: {'vmlab/external-addresses': asked.join(',')}})},
		spec: {
			selector: {app},
			ports: [{port: servicePort, targetPort: serverPort}],
			...(lab.families.length > 1 && {ipFamilyPolicy: 'RequireDualStack'}),
			...(policy !== undefined && {type: 'LoadBalancer', externalTrafficPolicy: policy}),
			...(asked.length === 1 && {loadBalancerIP: asked[0]}),
		},
	};
}

/** Services by name, in the order of the names. */
export async function readServices(cluster: ClusterHandle, ...names: readonly string[]): Promise<Service[]> {
	const {items} = await cluster.get<{items: any[]}>('services', '-n', 'default');
	return names.map((name) => {
		const item = items.find((candidate) => candidate.metadata.name === name);
		claim(item !== undefined, `there is no Service ${name}`);
		const nodePort = item.spec.ports[0].nodePort as number | undefined;
		return {
			name,
			cluster: byFamily(item.spec.clusterIPs ?? [item.spec.clusterIP]),
			...(nodePort !== undefined && {nodePort}),
			external: byFamily((item.status.loadBalancer?.ingress ?? []).map(({ip}: {ip: string}) => ip)),
		};
	});
}

/** The URL of a path of the test server. */
export function urlOf(address: string, port: number, path = 'hostname'): string {
	return `http://${urlHost(address)}:${port}/${path}`;
}

/** Seconds that a request from a machine may take. */
const patience = 30;

/** Claims that one of the pods answers a machine at a URL. */
export async function podAnswers(machine: MachineHandle, url: string, pods: readonly Pod[]): Promise<void> {
	const {stdout} = await machine.$`curl -sS --fail --max-time ${patience} ${url}`;
	claim(pods.some(({name}) => name === stdout), `${url} is answered on ${machine.name} by \`${stdout}\`, which is none of the pods`);
}

/** Seconds without an answer after which nobody answers: by then TCP has asked four times (after 1, 2 and 4 s again; RFC 6298, 2.1 and 5.5). */
const silence = 10;

/** Claims that nobody answers at a URL: the connection is refused, or no answer comes (curl(1), exit codes 7 and 28). */
export async function nothingAnswers(machine: MachineHandle, url: string): Promise<void> {
	const {exitCode, stdout, stderr} = await machine.try$`curl -sS --max-time ${silence} -w ${'\n%{time_connect}'} ${url}`;
	claim(exitCode !== 28 || Number(stdout.split('\n').at(-1)) === 0, `somebody took a connection from ${machine.name} to ${url}, and said nothing`);
	claim(exitCode === 7 || exitCode === 28, `curl to ${url} on ${machine.name} ended with exit code ${exitCode}`, [stdout, stderr]);
}

/** What new connections got: what the server said to each, and what was wrong with the others. */
export interface Connections {
	readonly answers: readonly string[];
	readonly problems: readonly string[];
}

/**
 * Makes new TCP connections, one after the other, with one request each. One curl makes them all, since
 * starting it takes longer than a connection; `Connection: close` makes it open a new one each time, and that it did is checked.
 */
export async function connectOften({run}: Pick<Caller, 'run'>, count: number, url: string): Promise<Connections> {
	const {stdout, stderr} = await run('curl', '-sS', '--max-time', String(patience), '-H', 'Connection: close', '-w', String.raw` %{http_code} %{num_connects}\n`, `${url}?[1-${count}]`);
	const lines = stdout.split('\n').filter((line) => line.trim() !== '');
	const answers = lines.flatMap((line) => {
		const [, answer] = /^(\S+) 200 1$/.exec(line) ?? [];
		return answer === undefined ? [] : [answer];
	});
	return {answers, problems: stderr.split('\n').filter((line) => line !== '')};
}

/** Claims that so many new connections are all answered, and that each pod gets its share of them. */
export async function connectionsSpread(machine: MachineHandle, count: number, url: string, pods: readonly Pod[]): Promise<Map<string, number>> {
	const {answers, problems} = await connectOften(onMachine(machine), count, url);
	claim(answers.length === count, `${count - answers.length} of ${count} new connections from ${machine.name} to ${url} were not answered`, problems.slice(0, 10));
	const counts = countEach(answers);
	const uneven = findUneven(counts, pods.map(({name}) => name));
	claim(uneven.length === 0, `the connections are not spread evenly: ${uneven[0]}`, uneven.slice(1));
	return counts;
}

/** The client addresses that pods saw of new connections from a machine: '192.168.2.221', without the port. */
export async function seenClients(machine: MachineHandle, count: number, url: string): Promise<string[]> {
	const {answers, problems} = await connectOften(onMachine(machine), count, url);
	claim(answers.length === count, `${count - answers.length} of ${count} connections to ${url} were not answered`, problems.slice(0, 10));
	return [...countEach(answers.map((answer) => answer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))).keys()];
}

/** The addresses that a node can have towards a pod: its own, and the bridge's that its pods are on. */
export function nodeAddresses(lab: LabTopology, family: Family): string[] {
	return lab.machines.filter(({role}) => role === 'node').flatMap(({name, address, pods}) => {
		const subnet = pods[family];
		return [addressIn(family, address, name), ...(subnet === undefined ? [] : [addressAt(subnet, 1)])];
	});
}
