/**
 * A node's resolver is systemd-resolved. It was given the DNS64 server for the whole machine, and still asks the one that came with the link.
 *
 * Servers that DHCP or a router names belong to a link, and a link may have a domain. A name within it is asked of that link's servers alone; any other name is asked
 * of all that have no domain, the machine's and the links', at once, and whoever answers first is believed (systemd-resolved.service(8), `Protocols and Routing`).
 * That a name has no IPv6 address is an answer too, and a server that needs not make one up is quicker. That the machine's servers are
 * for all names (`Domains=~.`) helps where the link has no domain, and not against its own one. Cures: the link's servers are not taken (`UseDNS=no`; here `resolvectl revert`); or
 * resolv.conf(5) is written by hand.
 */
import {addressAt, claim, defineScenario, type MachineHandle, type StepContext} from 'vmlab';
import {nat64Lab} from './labs/nat64.ts';
import {type Caller, nodeCaller} from './steps/caller.ts';
import {addressesOf, answeredBy} from './steps/lookup.ts';
import {nat64Of} from './steps/translator.ts';

const configurationFolder = '/etc/systemd/resolved.conf.d';
const configuration = `${configurationFolder}/lab.conf`;
const resolvConf = '/etc/resolv.conf';
/** Names that are asked for where two servers race. */
const races = 10;
const symptom = 'symptom: a name with an IPv4 address alone has no IPv6 address, and its server is not reached';

/** What the scenario works with on the node. */
interface Resolver {
	readonly node: MachineHandle;
	readonly caller: Caller;
	/** The DNS server with DNS64, and the one without, which is the link's. */
	readonly servers: {readonly dns64: string; readonly link: string};
	/** The node's link, and the domain that comes with it. */
	readonly device: string;
	readonly domain: string;
}

/** The node's resolver, and whom it may ask. */
function resolverOf({lab, node, machine}: StepContext): Resolver {
	const asking = node('node-1');
	const server = machine('server-1').machine.links.flatMap((link) => link.addresses).find(({family}) => family === 'ipv4')?.address;
	const {ipv6: services} = lab.services;
	const device = asking.machine.links[0]?.device;
	claim(server !== undefined && services !== undefined && device !== undefined, 'the lab has no name server, no Services of IPv6, or no link for its node');
	const {zone} = lab.options['nsd'] as {zone: string};
	return {node: asking, caller: nodeCaller(asking), device, domain: zone, servers: {dns64: addressAt(services, 10), link: nat64Of(lab).within(server)}};
}

/** Gives systemd-resolved the machine's own servers, with more settings, and starts it anew. What links have is told again by `setLink`. */
async function setMachine({node, servers}: Resolver, domains = ''): Promise<void> {
	await node.writeFile(configuration, ['[Resolve]', `DNS=${servers.dns64}`, `Domains=${domains}`, 'Cache=no', 'DNSSEC=no', 'LLMNR=no', 'MulticastDNS=no', ''].join('\n'));
	await node.$`systemctl restart systemd-resolved.service`;
}

/** Tells systemd-resolved of the link's server and domain, as a DHCP client does. */
async function setLink({node, device, servers}: Resolver, domain = ''): Promise<void> {
	await node.$`resolvectl dns ${device} ${servers.link}; resolvectl domain ${device} ${domain}`;
}

/** Counts from now on how often systemd-resolved asks each server. */
async function countQuestions({node, servers}: Resolver): Promise<void> {
	const rules = Object.entries(servers).map(([name, address]) => `    meta skuid systemd-resolve ip6 daddr ${address} udp dport 53 counter comment "${name}"`);
	await node.writeFile('/run/asked.nft', ['table inet asked', 'delete table inet asked', 'table inet asked {', '  chain output {', '    type filter hook output priority -300;', ...rules, '  }', '}', ''].join('\n'));
	await node.$`nft -f /run/asked.nft`;
}

/** How often it has asked each. */
async function questions({node}: Resolver): Promise<{dns64: number; link: number}> {
	const {stdout} = await node.$`nft list table inet asked`;
	const count = (name: string): number => Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${name}"`).exec(stdout)?.[1] ?? Number.NaN);
	return {dns64: count('dns64'), link: count('link')};
}

export default defineScenario({
	summary: 'Bug: systemd-resolved was given the DNS64 server, and asks the one that came with the link',
	lab: nat64Lab,
	budget: '5m',
	async steps(context) {
		const {lab, step, note, machine} = context;
		const resolver = resolverOf(context);
		const {node, caller, servers, domain} = resolver;
		const {httpPort} = lab.options['agnhost'] as {httpPort: number};
		const server = machine('server-1').name;
		let number = 0;
		/** A name with an IPv4 address alone, which nobody has asked for. */
		const freshName = (): string => `resolved-${++number}.four.${domain}`;
		const reachedByName = async (): Promise<void> => {
			const name = freshName();
			const address = await addressesOf(caller, 'AAAA', name);
			claim(address === servers.link, `${name} has the address \`${address}\`, not \`${servers.link}\``);
			const problem = await answeredBy(caller, `http://${freshName()}:${httpPort}/hostname`, server);
			claim(problem === undefined, String(problem));
		};

		const notReachedByName = async (): Promise<void> => {
			const name = freshName();
			const address = await addressesOf(caller, 'AAAA', name);
			claim(address === '', `${name} has the address \`${address}\``);
			const {exitCode, stderr} = await caller.run('curl', '-sS', '--max-time', '20', `http://${freshName()}:${httpPort}/hostname`);
			// It has the IPv4 address, which the node has no way to.
			claim(exitCode === 7, `curl ended with exit code ${exitCode}, not with 7 for a server that it does not reach`, [stderr]);
		};

		await step('control: by the cluster\'s DNS, which makes IPv6 addresses, the node reaches an IPv4-only server by its name', reachedByName);

		await step('control: the zone\'s name server, which the node reaches too, has no IPv6 address for such a name', async () => {
			const name = freshName();
			const [a, aaaa] = [await caller.run('dig', '+short', 'A', name, `@${servers.link}`), await caller.run('dig', '+short', 'AAAA', name, `@${servers.link}`)];
			claim(a.exitCode === 0 && a.stdout !== '' && aaaa.exitCode === 0 && aaaa.stdout === '', `it has \`${a.stdout}\` and \`${aaaa.stdout}\``);
		});

		await step('the mistake: systemd-resolved has the DNS64 server for the machine, and the name server and domain that came with the link', async () => {
			await node.$`systemctl unmask dbus.service dbus.socket; systemctl daemon-reload; systemctl start dbus.socket dbus.service; install -d -m 755 ${configurationFolder}`;
			await setMachine(resolver);
			await setLink(resolver, domain);
			await node.$`cp ${resolvConf} ${resolvConf}.before; ln -sf /run/systemd/resolve/stub-resolv.conf ${resolvConf}`;
		});

		await step(symptom, notReachedByName);

		await step('the DNS64 server was not even asked: the name is within the link\'s domain', async () => {
			await countQuestions(resolver);
			await notReachedByName();
			const {dns64, link} = await questions(resolver);
			claim(dns64 === 0 && link > 0, `systemd-resolved asked the DNS64 server ${dns64} times, and the link's ${link} times`);
		});

		await step('without a domain of the link both are asked, and the first answer counts, which may be that there is none', async () => {
			await setLink(resolver);
			await countQuestions(resolver);
			const found: string[] = [];
			for (let race = 0; race < races; race++) {
				found.push(await addressesOf(caller, 'AAAA', freshName()));
			}

			const {dns64, link} = await questions(resolver);
			claim(dns64 >= races && link >= races, `for ${races} names systemd-resolved asked the DNS64 server ${dns64} times, and the link's ${link} times`);
			const lost = found.filter((address) => address === '').length;
			claim(lost > 0, 'all names had an IPv6 address', found);
			note(`Of ${races} names ${lost} had no IPv6 address`);
		});

		await step('no cure: where the link has its domain, it does not help that the machine\'s server is for all names (~.)', async () => {
			await setMachine(resolver, '~.');
			await setLink(resolver, domain);
			await notReachedByName();
		});

		await step('cure: it does where the link has none', async () => {
			await setLink(resolver);
			await countQuestions(resolver);
			await reachedByName();
			const {dns64, link} = await questions(resolver);
			claim(dns64 > 0 && link === 0, `systemd-resolved asked the DNS64 server ${dns64} times, and the link's ${link} times`);
		});

		await step('cure: the link\'s server is not taken', async () => {
			await setMachine(resolver);
			await setLink(resolver, domain);
			await notReachedByName();
			await node.$`resolvectl revert ${resolver.device}`;
			await reachedByName();
		});

		await step('cure: without systemd-resolved, and with a resolv.conf that was written by hand', async () => {
			await setLink(resolver, domain);
			await notReachedByName();
			await node.$`systemctl stop systemd-resolved.service; rm ${resolvConf}; mv ${resolvConf}.before ${resolvConf}`;
			await reachedByName();
		});
	},
	mutation: {
		summary: 'the link\'s server is not taken',
		red: symptom,
		because: /has the address `fd00:64::/,
		before: symptom,
		async apply(context) {
			const {node, device} = resolverOf(context);
			await node.$`resolvectl revert ${device}`;
		},
	},
});
