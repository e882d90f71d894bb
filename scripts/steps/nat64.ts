/** The story of an IPv6-only cluster and a server that has IPv4 alone: NAT64 and DNS64, in any of their four pairs. */
import {addressAt, claim, describeFlow, urlHost, type StepContext} from 'vmlab';
import {addressOf} from './address.ts';
import {type Caller, nodeCaller, noneHasProblem, podCaller} from './caller.ts';
import {changeCorefile, withCorefile} from './corefile.ts';
import {claimAnswered, dialAll} from './dial.ts';
import {addressesOf, answeredBy, notAnswered, request, told} from './lookup.ts';
import {forgetPaths, headerDifference, largeRequestFails, pathMtu, withoutPacketTooBig, withWideInvitation} from './path-mtu.ts';
import {callersHaveNoIpv4} from './no-ipv4.ts';
import {connectOften} from './services.ts';
import {deployment, readPods, type Pod} from './test-server.ts';
import {nat64Of, wellKnownPrefix, withoutTranslator, withPrefix} from './translator.ts';

/** New connections, one after the other, from a node and from a pod. */
const connections = 400;
/** An address that is nobody's private one (RFC 1918) and in no documentation: the server gets it where that counts. */
const publicAddress = '12.34.0.1';

/** The step that DNS64 must leave names with an IPv6 address alone in. */
export const bothFamilies = 'a name with addresses of both families keeps its own IPv6 address, and the IPv6 server answers';

/** All steps; the lab has nodes, router-1 and server-1, with the overlays `nat64`, `nsd` and `agnhost`. */
export async function nat64Story(context: StepContext): Promise<void> {
	const {lab, cluster, fabric, step, refuted, eventually, machines, note} = context;
	const nat64 = nat64Of(lab);
	const nodes = machines('node');
	const router = context.router('router-1');
	const server = context.machine('server-1');
	const {zone} = lab.options['nsd'] as {zone: string};
	const {httpPort, udpPort} = lab.options['agnhost'] as {httpPort: number; udpPort: number};
	const name = (label: string): string => `${label}.${zone}`;
	const urlOf = (host: string, path = 'hostname'): string => `http://${urlHost(host)}:${httpPort}/${path}`;
	const serverAddress = linkAddress(context, server.name, 'ipv4');
	const routerAddress = linkAddress(context, router.name, 'ipv4');
	const beyond = server.machine.links[0]?.network ?? '';
	const nativeAddress = addressOf(router.machine, 'ipv6');
	const translated = nat64.within(serverAddress);
	let number = 0;
	/** A name with an IPv4 address alone that nobody has asked for: no answer of before is kept for it. */
	const freshName = (): string => name(`fresh-${++number}.four`);
	note(`${nat64.translator} translates, ${nat64.dns64} makes AAAA records; ${serverAddress} is ${translated}`);

	const pods = await step(`a Deployment of ${nodes.length} pods spreads over all nodes`, async () => {
		await cluster.apply(deployment(lab, 'caller', nodes.length));
		return eventually('all pods are ready', async () => {
			const found = (await readPods(cluster, 'caller')).get('caller') ?? [];
			claim(found.length === nodes.length && found.every((pod) => pod.ready), `${found.filter((pod) => pod.ready).length} of ${nodes.length} pods are ready`);
			claim(new Set(found.map((pod) => pod.node)).size === nodes.length, 'two pods are on one node');
			return found;
		}, {deadline: '90s'});
	});
	const podCallers = await Promise.all(pods.map(async (pod) => podCaller(context, pod)));
	const callers = [...nodes.map(nodeCaller), ...podCallers];

	await step('callers have no IPv4 address, and neither the server nor the router\'s side towards it has an IPv6 address', async () => {
		// The host's own way in, in a VRF that nothing else is in.
		await callersHaveNoIpv4(callers, (line) => line.includes(' 10.0.2.15/24 '));
		for (const {$, machine, name: host} of [server, router]) {
			const {device} = machine.links.find(({network}) => network === beyond)!;
			const {stdout} = await $`ip -6 -oneline address show dev ${device}`;
			claim(stdout === '', `${host} has an IPv6 address on ${device}, where the network has IPv4 alone`, [stdout]);
		}
	});

	await step('a name with an IPv4 address alone gets an IPv6 address within the prefix', async () => {
		await eventually('DNS answers', async () => {
			await noneHasProblem(callers, `AAAA of ${name(server.name)}`, async (caller) => unlike(await addressesOf(caller, 'AAAA', name(server.name)), translated));
		}, {deadline: '30s'});
		await noneHasProblem(callers, `A of ${name(server.name)}`, async (caller) => unlike(await addressesOf(caller, 'A', name(server.name)), serverAddress));
	});

	await step('its server answers over TCP', async () => {
		await noneHasProblem(callers, 'HTTP', async (caller) => answeredBy(caller, urlOf(name(server.name)), server.name));
		claimAnswered('requests of pods\' own programs', await dialAll(context, 'ipv6', pods.map((from) => toServer(from, translated, httpPort))), () => [server.name]);
	});

	await step('its server answers over UDP', async () => {
		await noneHasProblem(callers, 'UDP', async (caller) => {
			const result = await caller.run('bash', '-c', `echo hostname | nc -u -w 3 ${name(server.name)} ${udpPort}`);
			return unlike(result.stdout.trim(), server.name);
		});
		claimAnswered('datagrams of pods\' own programs', await dialAll(context, 'ipv6', pods.map((from) => ({...toServer(from, translated, udpPort), protocol: 'udp' as const}))), () => [server.name]);
	});

	await step('control: a program that takes a name\'s IPv4 address where it has one reaches nobody, for DNS64 leaves that as it is', async () => {
		// The test server looks a name up before it asks there, and prefers IPv4 (ResolveTCPAddr of Go's package net).
		const dialled = await dialAll(context, 'ipv6', pods.map((from) => toServer(from, name(server.name), httpPort)));
		const wrong = dialled.filter(({problem = ''}) => !problem.includes(`${serverAddress}:${httpPort}: connect: network is unreachable`));
		claim(wrong.length === 0, `${wrong.length} of ${dialled.length} programs did something else`, wrong.map(({from, answer, problem}) => `${from.name}: ${answer ?? problem}`));
	});

	await step('its server answers pings', async () => {
		await noneHasProblem(callers, 'ping', async (caller) => {
			const result = await caller.run('ping', '-6', '-c', '3', '-i', '0.3', '-W', '5', name(server.name));
			return result.exitCode === 0 ? undefined : told(result);
		});
	});

	await step('an IPv4 address that is known without DNS is reached within the prefix', async () => {
		await noneHasProblem(callers, 'literals', async (caller) => await answeredBy(caller, urlOf(translated), server.name)
			?? await answeredBy(caller, urlOf(nat64.within(routerAddress)), router.name));
	});

	await step('the server sees the router as the client', async () => {
		await noneHasProblem(callers, 'the client\'s address', async (caller) => {
			const result = await request(caller, urlOf(translated, 'clientip'));
			return result.stdout.startsWith(`${routerAddress}:`) ? undefined : `it is to be ${routerAddress}, and is ${told(result)}`;
		});
	});

	await step(bothFamilies, async () => {
		await noneHasProblem(callers, name('both'), async (caller) => unlike(await addressesOf(caller, 'AAAA', name('both')), nativeAddress)
			?? await answeredBy(caller, urlOf(name('both')), router.name));
	});

	await step('control: while that IPv6 server is stopped the name is not reached, though its IPv4 address answers', async () => {
		await router.$`systemctl stop vmlab-agnhost.service`;
		try {
			await noneHasProblem(callers, 'a broken IPv6 server', async (caller) => await notAnswered(caller, urlOf(name('both')), {hasAddress: true})
				?? await answeredBy(caller, urlOf(translated), server.name));
		} finally {
			await router.$`systemctl start vmlab-agnhost.service`;
		}

		await eventually('it answers again', async () => noneHasProblem(callers, name('both'), async (caller) => answeredBy(caller, urlOf(name('both')), router.name)));
	});

	await step('a name with an IPv6 address alone keeps it, and is reached without the translator', async () => {
		await noneHasProblem(callers, name('six'), async (caller) => unlike(await addressesOf(caller, 'AAAA', name('six')), nativeAddress)
			?? await answeredBy(caller, urlOf(name('six')), router.name));
		claimAnswered('requests of pods\' own programs', await dialAll(context, 'ipv6', pods.map((from) => toServer(from, name('six'), httpPort))), () => [router.name]);
	});

	await step('one connection is IPv6 before the router and IPv4 beyond it, with the router\'s address; and so is all that the networks have carried', async () => {
		const [caller] = podCallers;
		claim(caller !== undefined, 'there is no pod');
		const since = Date.now();
		await noneHasProblem([caller], 'HTTP', async () => answeredBy(caller, urlOf(translated), server.name));
		const flow = await fabric.flow({protocol: 'tcp', destination: translated, destinationPort: httpPort}, {since});
		const ends = (wanted: boolean): string[] => [...new Set(flow.crossings.filter(({network, way}) => way === 'there' && (network === beyond) === wanted).map(({source, destination}) => `${source.address} > ${destination.address}`))];
		claim(flow.isAnswered, 'the fabric saw no answer', describeFlow(flow));
		claim(ends(false).join() === `${caller.address} > ${translated}`, `before the router it was ${ends(false).join(', ') || 'not seen'}`, describeFlow(flow));
		claim(ends(true).join() === `${routerAddress} > ${serverAddress}`, `beyond the router it was ${ends(true).join(', ') || 'not seen'}`, describeFlow(flow));
		for (const {name: network} of lab.networks) {
			const {frames} = await fabric.traffic(network);
			const [own, other] = network === beyond ? [frames.ipv4, frames.ipv6] : [frames.ipv6, frames.ipv4 + frames.arp];
			claim(own > 0 && other === 0, `the network ${network} has carried ${own} frames of its family, and ${other} of the other`);
		}
	});

	await step('names of the cluster and of its machines get no address within the prefix', async () => {
		const {within} = nat64;
		const [prefix = ''] = within('0.0.0.0').split('::');
		for (const [each, own] of [['kubernetes.default.svc.cluster.local', addressAt(lab.services.ipv6 ?? '', 1)], [router.name, nativeAddress]] as const) {
			await noneHasProblem(callers, each, async (caller) => {
				const found = await addressesOf(caller, 'AAAA', each);
				return found.split(' ').includes(own) && !found.includes(`${prefix}::`) ? undefined : `it is \`${found}\`, not \`${own}\` alone`;
			});
		}
	});

	const last = nodes.at(-1)?.name ?? '';
	for (const [title, caller] of [[nodes[0]?.name, callers[0]], [`a pod on ${last}`, podCallers[pods.findIndex(({node}) => node === last)]]] as const) {
		await step(`${connections} new connections from ${title} are all answered`, async () => {
			claim(caller !== undefined, 'the lab has no such node or pod');
			const {answers, problems} = await connectOften(caller, connections, urlOf(translated));
			const right = answers.filter((answer) => answer === server.name).length;
			claim(right === connections, `${connections - right} of ${connections} new connections were not answered by ${server.name}`, problems.slice(0, 10));
		});
	}

	await step(nat64.translator === 'tayga' ? 'tayga keeps an IPv4 address for each caller, and no connections' : 'jool keeps the callers\' connections, with ports of the router\'s own IPv4 address', async () => {
		await eventually('each caller is known to the translator', async () => {
			const known = nat64.translator === 'tayga' ? await taygaAddresses(context) : await joolAddresses(context);
			const missing = callers.filter(({address}) => !known.has(address));
			claim(missing.length === 0, `the translator knows nothing of ${missing.map(({title, address}) => `${title} (${address})`).join(', ')}`, [...known].map((pair) => pair.join(' ')));
			const shared = new Set(callers.map(({address}) => known.get(address)));
			claim(shared.size === (nat64.translator === 'tayga' ? callers.length : 1), `${callers.length} callers have ${shared.size} IPv4 addresses: ${[...shared].join(', ')}`);
		}, {deadline: '30s'});
	});

	await withWideInvitation(server, lab.networks.find((network) => network.name === server.machine.links[0]?.network)?.subnets.ipv4 ?? '', async () => {
		const mtu = (server.machine.links[0]?.mtu ?? 0) + headerDifference;
		const forgetAll = async (): Promise<void> => void await Promise.all(callers.map(forgetPaths));
		const silence = await refuted('control: while the router tells nobody that a packet is too big, large requests are not answered', async () => {
			await forgetAll();
			await withoutPacketTooBig(router, async () => {
				await noneHasProblem(callers, 'small requests', async (caller) => answeredBy(caller, urlOf(translated), server.name));
				await noneHasProblem(callers, 'large requests', async (caller) => largeRequestFails(caller, translated, httpPort));
			});
		});
		await step('they failed for all callers, and small ones for none', async () => {
			claim(silence.message.startsWith(`large requests failed for ${callers.length} of ${callers.length}`), 'it was not that', silence.message.split('\n'));
		});

		await step(`large requests are answered, and callers know then that the path takes packets of ${mtu} bytes`, async () => {
			await forgetAll();
			const mtuIsUnlike = async (caller: Caller): Promise<string | undefined> => unlike(String(await pathMtu(caller, translated)), String(mtu));
			await noneHasProblem(callers, 'large requests', async (caller) => largeRequestFails(caller, translated, httpPort));
			// A neighbour that does not answer in time, on a busy computer, takes along what the kernel knew of paths over it: who forgot it so asks again.
			await eventually('each caller knows', async () => noneHasProblem(callers, 'large requests', async (caller) => (await mtuIsUnlike(caller) === undefined
				? undefined : await largeRequestFails(caller, translated, httpPort) ?? mtuIsUnlike(caller))), {deadline: '60s'});
		});
	});

	await step('a ping of 1400 bytes that must not be cut is told that it is too big', async () => {
		await Promise.all(callers.map(forgetPaths));
		await noneHasProblem(callers, 'a large ping', async (caller) => {
			const result = await caller.run('ping', '-6', '-M', 'do', '-s', '1400', '-c', '1', '-W', '5', translated);
			return result.stdout.includes('Packet too big') ? undefined : told(result);
		});
	});

	await step(`in fragments ${nat64.translator === 'tayga' ? 'it is not answered: tayga cannot translate the checksum of what it sees in pieces' : 'it is answered: jool puts them together'}`, async () => {
		await noneHasProblem(callers, 'a ping in fragments', async (caller) => {
			const result = await caller.run('ping', '-6', '-s', '1400', '-c', '2', '-W', '5', translated);
			return (result.exitCode === 0) === (nat64.translator === 'jool') ? undefined : told(result);
		});
	});

	await step(`the well-known prefix ${wellKnownPrefix} takes the server's public address, and ${nat64.translator === 'tayga' ? 'tayga refuses its private one' : 'jool takes its private one too, which RFC 6052 does not want'}`, async () => {
		await server.$`ip address add ${publicAddress}/32 dev lo`;
		await router.$`ip route add ${publicAddress}/32 via ${serverAddress}`;
		try {
			await withPrefix(context, router, wellKnownPrefix, async () => {
				const [publicOne, privateOne] = [publicAddress, serverAddress].map((address) => wellKnown(address)) as [string, string];
				await eventually('the public address is reached', async () => {
					await noneHasProblem(callers, 'the public address', async (caller) => answeredBy(caller, urlOf(publicOne), server.name));
				}, {deadline: '20s'});
				await noneHasProblem(callers, 'the private address', async (caller) => {
					if (nat64.translator !== 'tayga') {
						return answeredBy(caller, urlOf(privateOne), server.name);
					}

					const result = await caller.run('ping', '-6', '-c', '1', '-W', '5', privateOne);
					return result.exitCode === 1 && /unreachable: No route/.test(result.stdout) ? await notAnswered(caller, urlOf(privateOne)) : told(result);
				});
			});
		} finally {
			await router.$`ip route del ${publicAddress}/32`;
			await server.$`ip address del ${publicAddress}/32 dev lo`;
		}
	});

	await step('control: without DNS64 a name with an IPv4 address alone has no IPv6 address, and its server is not reached by it', async () => {
		await withoutDns64(context, async () => {
			await eventually('DNS answers without DNS64', async () => {
				const fresh = freshName();
				await noneHasProblem(callers, fresh, async (caller) => unlike(await addressesOf(caller, 'A', fresh), serverAddress)
					?? unlike(await addressesOf(caller, 'AAAA', fresh), ''));
			}, {deadline: '60s'});
			const fresh = freshName();
			await noneHasProblem(callers, fresh, async (caller) => await notAnswered(caller, urlOf(fresh))
				?? await answeredBy(caller, urlOf(translated), server.name));
		});
	});

	await step(`control: without the translator nobody reaches the server, ${nat64.dns64 === 'unbound' ? 'though DNS answers: unbound asks over IPv4' : 'and DNS does not answer: CoreDNS asks through it'}`, async () => {
		await withoutTranslator(context, router, async () => {
			const fresh = freshName();
			await noneHasProblem(callers, 'no translator', async (caller) => {
				const found = await addressesOf(caller, 'AAAA', fresh);
				return await notAnswered(caller, urlOf(translated))
					?? ((found === translated) === (nat64.dns64 === 'unbound') ? undefined : `${fresh} is \`${found}\``)
					?? await answeredBy(caller, urlOf(nativeAddress), router.name);
			});
		});
	});

	await step('with the translator and DNS64 back, names are answered and reached again', async () => {
		await eventually('the server answers', async () => {
			const fresh = freshName();
			await noneHasProblem(callers, fresh, async (caller) => answeredBy(caller, urlOf(fresh), server.name));
		}, {deadline: '60s'});
	});

	function wellKnown(address: string): string {
		return nat64Of({...lab, options: {nat64: {prefix: wellKnownPrefix}}}).within(address);
	}
}

/** A problem where a text is another than it should be. */
function unlike(text: string, wanted: string): string | undefined {
	return text === wanted ? undefined : `it is \`${text}\`, not \`${wanted}\``;
}

function toServer(from: Pod, host: string, port: number): {from: Pod; host: string; port: number; to: string} {
	return {from, host, port, to: host};
}

/** A machine's address of a family, on whichever link has one. */
function linkAddress({lab}: StepContext, machine: string, family: 'ipv4' | 'ipv6'): string {
	const address = lab.machines.find((each) => each.name === machine)?.links.flatMap(({addresses}) => addresses).find((each) => each.family === family)?.address;
	claim(address !== undefined, `${machine} has no ${family} address`);
	return address;
}

/** IPv6 address -> the address of the pool that tayga has given it. */
async function taygaAddresses({router}: StepContext): Promise<Map<string, string>> {
	const {stdout} = await router('router-1').$`grep -v '^#' /var/lib/vmlab-tayga/dynamic.map`;
	return new Map(stdout.split('\n').flatMap((line) => {
		const [pool, address] = line.split(/\s+/);
		return pool === undefined || address === undefined ? [] : [[address, pool] as const];
	}));
}

/** IPv6 address -> the IPv4 address that jool has bound its connections to. */
async function joolAddresses({router}: StepContext): Promise<Map<string, string>> {
	const {stdout} = await router('router-1').$`for protocol in --tcp --udp --icmp; do jool -i vmlab bib display --numeric --csv --no-headers $protocol; done`;
	return new Map(stdout.split('\n').flatMap((line) => {
		const [, address, , bound] = line.split(',');
		return address === undefined || bound === undefined ? [] : [[address, bound] as const];
	}));
}

/** Runs `use` while nothing makes AAAA records of A records. */
async function withoutDns64<Value>(context: StepContext, use: () => Promise<Value>): Promise<Value> {
	if (nat64Of(context.lab).dns64 === 'coredns') {
		return withCorefile(context, (text) => text.replace(/^ *dns64 \{[^}]*\}\n/m, ''), use);
	}

	const router = context.router('router-1');
	const path = '/etc/vmlab/unbound.conf';
	const before = await router.readFile(path);
	try {
		await router.writeFile(path, before.replace('"dns64 iterator"', '"iterator"'));
		await router.$`systemctl restart vmlab-unbound.service`;
		return await use();
	} finally {
		await router.writeFile(path, before);
		await router.$`systemctl restart vmlab-unbound.service`;
	}
}

/** The mutation: DNS64 makes AAAA records for names too that have some of their own. */
export async function translateAll(context: StepContext): Promise<void> {
	if (nat64Of(context.lab).dns64 === 'coredns') {
		await changeCorefile(context, (text) => text.replace('dns64 {', 'dns64 {\n        translate_all'));
		return;
	}

	const router = context.router('router-1');
	const path = '/etc/vmlab/unbound.conf';
	await router.writeFile(path, (await router.readFile(path)).replace('module-config:', 'dns64-synthall: yes\n    module-config:'));
	await router.$`systemctl restart vmlab-unbound.service`;
}
