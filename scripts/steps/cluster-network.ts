/** The story of a cluster's network, in whatever families the lab has: pods, DNS, the API server, Services, the way in. */
import {addressAt, claim, type Family, type MutationDeclaration, type StepContext} from 'vmlab';
import {addressIn, addressOf} from './address.ts';
import {onMachine, podCaller} from './caller.ts';
import {claimAnswered, dialAll, type Dial} from './dial.ts';
import {familiesAreInOrder} from './family-order.ts';
import {addressesOf} from './lookup.ts';
import {nodesAreReady} from './node-state.ts';
import {podsReachEachOther, withoutForwarding} from './pod-network.ts';
import {clusterAddressDiffers, nobodyListensOnNodePort, serviceIsWhereItBelongs} from './proxy-mode.ts';
import {askApiServer, podTalksToApiServer} from './service-account.ts';
import {connectionsSpread, connectOften, nodeAddresses, nothingAnswers, podAnswers, readServices, seenClients, service, servicePort, urlOf, type Service} from './services.ts';
import {deployment, readPods, type Pod} from './test-server.ts';

/** Pods of the Deployment that everything is spread over. */
const replicas = 4;
/** New connections of the main claim. */
const connections = 400;
/** Places in the external subnet: 10.0.0.2 and 10.0.0.3. */
const places = {hello: 2, local: 3};

/** What the story leaves behind for those that go on: the pods of a Deployment, and the Service before them. */
export interface ClusterStory {
	readonly pods: readonly Pod[];
	readonly hello: Service;
}

/** All steps; the lab has nodes, router-1 and tester-1, with the overlays `kubernetes`, `coredns` and `externalip`. */
export async function clusterNetwork(context: StepContext): Promise<ClusterStory> {
	const {lab, cluster, step, refuted, eventually, machines, note} = context;
	const {families} = lab;
	const nodes = machines('node');
	const tester = context.tester('tester-1');

	await step('all nodes are Ready', async () => {
		await eventually('each node has the condition Ready', async () => nodesAreReady(context), {deadline: '60s'});
	});

	const {pods, single} = await step(`a Deployment of ${replicas} pods spreads over all nodes`, async () => {
		await cluster.apply([deployment(lab, 'hello', replicas), deployment(lab, 'single', 1)]);
		const found = await eventually('all pods are ready', async () => {
			const every = await readPods(cluster, 'hello', 'single');
			const all = [...every.values()].flat();
			const ready = all.filter((pod) => pod.ready);
			claim(all.length === replicas + 1 && ready.length === all.length, `${ready.length} of ${replicas + 1} pods are ready; the others: ${all.filter((pod) => !pod.ready).map(({name, phase}) => `${name} ${phase}`).join(', ')}`);
			return every;
		}, {deadline: '90s'});
		const hello = found.get('hello') ?? [];
		const shares = nodes.map(({name}) => hello.filter((pod) => pod.node === name).length);
		claim(hello.length === replicas && Math.max(...shares) - Math.min(...shares) <= 1, `the pods are not spread: ${nodes.map(({name}, index) => `${name} has ${shares[index]}`).join(', ')}`);
		const [lonely] = found.get('single') ?? [];
		claim(lonely !== undefined, 'the Deployment `single` has no pod');
		return {pods: hello, single: lonely};
	});

	await step(podsStep, async () => podsReachEachOther(context, families, pods));

	const last = nodes.at(-1)?.name ?? '';
	const blocked = await refuted(`control: while ${last} forwards nothing, pods do not reach each other`, async () => {
		await withoutForwarding(context, last, families, async () => podsReachEachOther(context, families, pods));
	});
	const [pair] = /pod \S+ on \S+ -> pod \S+ on [^\s:]+/.exec(blocked.message) ?? [];
	await step(`the report of it names a pair of pods with one on ${last}, and afterwards they reach each other again`, async () => {
		claim(pair?.includes(` on ${last}`), `the message names no pair of pods of which one is on ${last}`, [blocked.message]);
		await podsReachEachOther(context, families, pods);
	});
	note(`The pair that it named: ${pair}`);

	await step('a pod talks to the API server with its ServiceAccount token', async () => podTalksToApiServer(context, single));

	await step('control: without the token the API server refuses the same pod', async () => {
		const {status, body} = await askApiServer(context, single, '/api', {token: false});
		claim(status === 401 || status === 403, `without a token it is answered with ${status}`, [body]);
	});

	await step('control: before the Service exists nothing answers at its external address', async () => {
		for (const family of families) {
			await nothingAnswers(tester, urlOf(externalAddress(context, family, places.hello), servicePort));
		}
	});

	const [hello, local, hairpin] = await step('Services are created, and get their external addresses', async () => {
		await cluster.apply([
			service(lab, 'hello', 'hello', 'Cluster', places.hello),
			service(lab, 'local', 'hello', 'Local', places.local),
			service(lab, 'single', 'single'),
		]);
		return eventually('the Services have their external addresses', async () => {
			const services = await readServices(cluster, 'hello', 'local', 'single') as [Service, Service, Service];
			for (const [found, place] of [[services[0], places.hello], [services[1], places.local]] as const) {
				for (const family of families) {
					const wanted = externalAddress(context, family, place);
					claim(found.external[family] === wanted, `the Service ${found.name} has ${JSON.stringify(found.external)}, not ${wanted}`);
				}
			}

			return services;
		}, {deadline: '60s'});
	});

	if (families.length > 1) {
		await step(`nodes, pods and Services have their addresses in the order ${families.join(', ')}`, async () => familiesAreInOrder(context, families, [hello.name, local.name, hairpin.name]));
	}

	await step('a ClusterIP Service answers on every node', async () => {
		for (const family of families) {
			await Promise.all(nodes.map(async (node) => eventually(`${hello.name} answers on ${node.name} (${family})`, async () => {
				await podAnswers(node, urlOf(addressIn(family, hello.cluster, hello.name), servicePort), pods);
			}, {deadline: '30s'})));
		}
	});

	await step('each node has the Service where the mode of its kube-proxy keeps it, and nowhere else', async () => {
		await serviceIsWhereItBelongs(context, families, hello);
		await clusterAddressDiffers(context, families, hello);
	});

	await step('a ClusterIP Service answers a pod on every node', async () => {
		for (const family of families) {
			const callers = nodes.flatMap(({name}) => pods.find(({node}) => node === name) ?? []);
			// One that asks a Service may be answered by itself, and kube-proxy's rules for that come last.
			await eventually(`${hello.name} answers a pod on every node (${family})`, async () => {
				claimAnswered('requests', await dialAll(context, family, callers.map((from) => toService(from, family, hello))), () => pods.map(({name}) => name));
			}, {deadline: '30s'});
		}
	});

	await step('a ClusterIP Service answers the pod that is its own only endpoint (hairpin)', async () => {
		for (const family of families) {
			await eventually(`${hairpin.name} answers its own pod (${family})`, async () => {
				claimAnswered('requests', await dialAll(context, family, [toService(single, family, hairpin)]), () => [single.name]);
			}, {deadline: '30s'});
		}
	});

	await step('cluster DNS answers in a pod and on every node', async () => {
		const [family = 'ipv4'] = families;
		const from = nodes.flatMap(({name}) => pods.find(({node}) => node === name) ?? []);
		const names = [hello.name, `${hello.name}.default.svc.cluster.local`];
		await eventually('each name is answered in a pod on every node', async () => {
			claimAnswered('names', await dialAll(context, family, from.flatMap((pod) => names.map((host) => ({from: pod, host, port: servicePort, to: host})))), () => pods.map(({name}) => name));
		}, {deadline: '30s'});
		for (const pod of from) {
			const caller = await podCaller(context, pod);
			for (const each of families) {
				const found = await addressesOf(caller, each === 'ipv4' ? 'A' : 'AAAA', `${hello.name}.default.svc.cluster.local`);
				claim(found === addressIn(each, hello.cluster, hello.name), `${caller.title} gets other addresses (${each}): \`${found}\``);
			}
		}

		for (const node of nodes) {
			for (const each of families) {
				const {stdout} = await node.$`getent ${each === 'ipv4' ? 'ahostsv4' : 'ahostsv6'} ${`${hello.name}.default.svc.cluster.local`}`;
				claim(stdout.split(/\s+/).includes(addressIn(each, hello.cluster, hello.name)), `${node.name} gets other addresses`, stdout.split('\n'));
			}
		}
	});

	await step('control: the name of a Service that does not exist is not answered', async () => {
		for (const node of nodes) {
			// That DNS says so, and not that it says nothing.
			const {stdout} = await node.try$`dig +tries=2 +time=5 nobody.default.svc.cluster.local`;
			claim(/\bstatus: NXDOMAIN\b/.test(stdout), `on ${node.name} DNS does not say that there is no such name`, stdout.split('\n'));
		}
	});

	await step('a NodePort answers on every node, though no socket listens there', async () => {
		claim(hello.nodePort !== undefined, 'the Service has no NodePort');
		for (const family of families) {
			for (const node of nodes) {
				await podAnswers(tester, urlOf(addressOf(node.machine, family), hello.nodePort), pods);
			}
		}

		await nobodyListensOnNodePort(context, hello.nodePort);
	});

	for (const family of families) {
		const url = urlOf(addressIn(family, hello.external, hello.name), servicePort);
		const counts = await step(`${connections} new connections from ${tester.name} over the router to ${url} are all answered, evenly by all pods`, async () => {
			await eventually('the Service answers from outside', async () => {
				const {answers, problems} = await connectOften(onMachine(tester), 10, url);
				claim(answers.length === 10, `${answers.length} of 10 connections are answered`, problems);
			}, {deadline: '60s'});
			return connectionsSpread(tester, connections, url, pods);
		});
		note(`Connections by pod: ${[...counts].map(([pod, count]) => `${pod} ${count}`).sort().join(', ')}`);
	}

	await step('with externalTrafficPolicy Cluster pods see a node as the client', async () => {
		for (const family of families) {
			const known = nodeAddresses(lab, family);
			const seen = await seenClients(tester, 20, urlOf(addressIn(family, hello.external, hello.name), servicePort, 'clientip'));
			claim(seen.every((address) => known.includes(address)), `pods saw ${seen.join(', ')}; the nodes are ${known.join(', ')}`);
		}
	});

	await step(`with externalTrafficPolicy Local pods see ${tester.name} as the client`, async () => {
		for (const family of families) {
			const own = addressOf(tester.machine, family);
			const seen = await seenClients(tester, 20, urlOf(addressIn(family, local.external, local.name), servicePort, 'clientip'));
			claim(seen.every((address) => address === own), `pods saw ${seen.join(', ')}; ${tester.name} is ${own}`);
		}
	});
	return {pods, hello};
}

const podsStep = 'each pod reaches each other pod';

/** The change that shows that pods which do not reach each other are seen: it turns the story red where they should. */
export const blockedNode: MutationDeclaration = {
	summary: 'node-2 forwards nothing of the lab\'s last family',
	red: podsStep,
	because: /pairs of pods \(ipv[46]\) failed: .* on node-2/,
	async apply({node, lab}) {
		// In a lab of two it is seen that the second is looked at too.
		await node('node-2').$`${lab.families.at(-1) === 'ipv4' ? 'iptables' : 'ip6tables'} -P FORWARD DROP`;
	},
};

/** An external address of the lab by its place in the subnet. */
function externalAddress({lab}: StepContext, family: Family, place: number): string {
	const subnet = lab.external[family];
	claim(subnet !== undefined, `the lab has no external addresses in ${family}`);
	return addressAt(subnet, place);
}

function toService(from: Pod, family: Family, {name, cluster}: Service): Dial {
	return {from, host: addressIn(family, cluster, name), port: servicePort, to: `Service ${name}`};
}
