/** The test server that the steps talk to and from: agnhost, of Kubernetes' own tests, as `netexec` on port 8080. */
import {claim, type ClusterHandle, type Family, type LabTopology, type PerFamily, type StepContext} from 'vmlab';

/** The port that the server listens on in each pod. */
export const serverPort = 8080;

/** A pod that runs the server. */
export interface Pod {
	readonly name: string;
	/** The machine that it is on. */
	readonly node: string;
	readonly addresses: PerFamily<string>;
	readonly ready: boolean;
	/** 'Pending', 'Running' ... */
	readonly phase: string;
}

/** The reference of agnhost that the lab's nodes have. */
function serverImage(lab: LabTopology): string {
	const image = lab.images.find((reference) => /\/agnhost:/.test(reference));
	claim(image !== undefined, 'the lab has no agnhost image: leave the option kubernetes.testImages on', lab.images);
	return image;
}

/** What a pod that runs the server is made of. */
function serverSpec(lab: LabTopology): object {
	return {
		terminationGracePeriodSeconds: 1,
		containers: [{
			name: 'server',
			image: serverImage(lab),
			imagePullPolicy: 'IfNotPresent',
			args: ['netexec', `--http-port=${serverPort}`],
			readinessProbe: {httpGet: {path: '/readyz', port: serverPort}, periodSeconds: 2, timeoutSeconds: 5},
		}],
	};
}

/** A Deployment of the server that spreads evenly over the nodes. Its pods have the label `app`. */
export function deployment(lab: LabTopology, app: string, replicas: number): object {
	const labels = {app};
	return {
		apiVersion: 'apps/v1',
		kind: 'Deployment',
		metadata: {name: app},
		spec: {
			replicas,
			selector: {matchLabels: labels},
			template: {
				metadata: {labels},
				spec: {
					topologySpreadConstraints: [{
						maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {matchLabels: labels},
					}],
					...serverSpec(lab),
				},
			},
		},
	};
}

/** A pod of the server on a node of one's choice, with its own name as the label `app`. */
export function podOn(lab: LabTopology, node: string, name: string): object {
	return {apiVersion: 'v1', kind: 'Pod', metadata: {name, labels: {app: name}}, spec: {nodeName: node, ...serverSpec(lab)}};
}

/** Makes pods of the server, each on the node that is given for its name, and gives them in that order once all are ready. */
export async function placePods({lab, cluster, eventually}: StepContext, places: Readonly<Record<string, string>>): Promise<Pod[]> {
	const names = Object.keys(places);
	await cluster.apply(names.map((name) => podOn(lab, places[name]!, name)));
	return eventually(`the pods ${names.join(', ')} are ready`, async () => {
		const found = await readPods(cluster, ...names);
		return names.map((name) => {
			const [pod] = found.get(name) ?? [];
			claim(pod?.ready, `pod ${name} is ${pod?.phase ?? 'not there'}${pod?.phase === 'Running' ? ', but not ready' : ''}`);
			return pod;
		});
	}, {deadline: '90s'});
}

/** The pods of a Deployment, by name. */
export async function readPods(cluster: ClusterHandle, ...apps: readonly string[]): Promise<Map<string, Pod[]>> {
	const {items} = await cluster.get<{items: any[]}>('pods', '-l', `app in (${apps.join(',')})`);
	return new Map(apps.map((app) => [app, items
		.filter((item) => item.metadata.labels.app === app && item.metadata.deletionTimestamp === undefined)
		.map(({metadata, spec, status}): Pod => ({
			name: metadata.name,
			node: spec.nodeName,
			addresses: byFamily((status.podIPs ?? []).map(({ip}: {ip: string}) => ip)),
			ready: (status.conditions ?? []).some(({type, status: holds}: {type: string; status: string}) => type === 'Ready' && holds === 'True'),
			phase: status.phase,
		}))
		.sort((a, b) => (a.name < b.name ? -1 : 1))]));
}

/** Addresses by their family, the first of each. */
export function byFamily(addresses: readonly string[]): PerFamily<string> {
	const of = (family: Family): string | undefined => addresses.find((address) => address.includes(':') === (family === 'ipv6'));
	const [ipv4, ipv6] = [of('ipv4'), of('ipv6')];
	return {...(ipv4 && {ipv4}), ...(ipv6 && {ipv6})};
}
