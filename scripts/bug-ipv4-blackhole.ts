/**
 * To leave IPv4 behind, its default route is made a blackhole: on a node, or on the router for all of them.
 *
 * On the machine itself every IPv4 connection fails at once with EINVAL, the word of a blackhole route, the node's own ones to Services among them; and
 * getaddrinfo(3) puts what it cannot reach last, even where it is told to prefer IPv4, so programs that go by its order do not notice.
 * Behind the router nobody is told: IPv4 hangs until the program gives up, and IPv4 stays first. Cure: the blackhole is removed. Where IPv4 is
 * really to end, `unreachable` in its place lets the router say so.
 */
import {addressAt, claim, defineScenario, type Family, type MachineHandle} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressOf} from './steps/address.ts';
import {tryConnection} from './steps/connection.ts';

/** A server outside of the lab's own networks, by addresses for documentation (RFC 5737, RFC 3849). */
const outside: Readonly<Record<Family, string>> = {ipv4: '198.51.100.1', ipv6: '2001:db8::1'};
const name = 'outside.example';
const port = 9000;

/** Answers a request with the address that it came from. */
const answer = `#!/bin/bash
while read -r line && [ "\${line%$'\\r'}" != '' ]; do :; done
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' "$SOCAT_PEERADDR"
`;

/** The family in which curl, which may choose, reaches the server by its name. */
async function familyTaken(machine: MachineHandle): Promise<Family> {
	const {stdout} = await machine.$`curl -sS --max-time 20 ${`http://${name}:${port}/`}`;
	// A socket on [::] sees IPv4 as ::ffff:0:0/96 (RFC 4291, 2.5.5.2), which socat writes out in full.
	return /^\[?(0000:0000:0000:0000:0000:ffff|::ffff)/i.test(stdout) || !stdout.includes(':') ? 'ipv4' : 'ipv6';
}

/** Claims that getaddrinfo gives the addresses of both families, and which is first. */
async function claimOrder(machine: MachineHandle, first: Family): Promise<void> {
	const {stdout} = await machine.$`getent ahosts ${name}`;
	const order = [...new Set(stdout.split('\n').map((line) => line.split(/\s+/)[0] ?? ''))];
	claim(order.length === 2 && order[0] === outside[first], `the order on ${machine.name} is ${order.join(', ')}`);
}

/** Claims that the machine reaches the server in a family. */
async function reaches(machine: MachineHandle, family: Family): Promise<void> {
	const problem = await tryConnection(machine, outside[family], port);
	claim(problem === undefined, `${machine.name} does not reach ${outside[family]}: ${problem}`);
}

/** Claims that a connection fails as the kernel or the time says: 'Invalid argument', 'no answer'. */
async function failsWith(machine: MachineHandle, address: string, on: number, wanted: string): Promise<void> {
	const problem = await tryConnection(machine, address, on);
	claim(problem === wanted, `a connection from ${machine.name} to ${address} ${problem === undefined ? 'is made' : `fails with "${problem}"`}, not with "${wanted}"`);
}

export default defineScenario({
	summary: 'Bug: IPv4\'s default route is a blackhole, on a node or on the router: what fails at once, what hangs, what goes on',
	lab: clusterLab(['ipv4', 'ipv6']),
	budget: '2m',
	async steps({lab, node, router, tester, step, eventually}) {
		const client = node('node-2');
		const gateway = router('router-1');
		/** The cluster's DNS, which has both families, and takes TCP too. */
		const dns: Readonly<Record<Family, string>> = {ipv4: addressAt(lab.services.ipv4 ?? '', 10), ipv6: addressAt(lab.services.ipv6 ?? '', 10)};

		await step('control: a server outside of the lab\'s networks answers a node in both families', async () => {
			const server = tester('tester-1');
			await server.writeFile('/run/outside', answer, 0o755);
			await server.$`ip link add outside type dummy; ip link set dev outside up; for address in ${Object.values(outside)}; do ip address add $address dev outside; done
				systemd-run --quiet --unit=outside socat TCP6-LISTEN:${port},ipv6only=0,reuseaddr,fork EXEC:/run/outside`;
			for (const family of lab.families) {
				await gateway.$`ip ${family === 'ipv4' ? '-4' : '-6'} route add default via ${addressOf(server.machine, family)}`;
			}

			await client.$`for address in ${Object.values(outside)}; do echo "$address ${name}" >>/etc/hosts; done`;
			for (const family of lab.families) {
				await eventually(`the server answers ${client.name} (${family})`, async () => reaches(client, family));
			}
		});

		await step('control: a node that prefers IPv4 (gai.conf) gets the IPv4 address first, and takes it', async () => {
			await client.writeFile('/etc/gai.conf', 'precedence ::ffff:0:0/96 100\n');
			await claimOrder(client, 'ipv4');
			const family = await familyTaken(client);
			claim(family === 'ipv4', `curl takes ${family}`);
		});

		await step('the mistake on the node: its default route of IPv4 is a blackhole', async () => {
			await client.$`ip -4 route prepend blackhole default`;
		});

		await step('symptom: IPv4 connections of the node fail at once, with EINVAL', async () => failsWith(client, outside.ipv4, port, 'Invalid argument'));

		await step('symptom: so do the node\'s own connections to IPv4 Services, and not those to IPv6 ones', async () => {
			await failsWith(client, dns.ipv4, 53, 'Invalid argument');
			const problem = await tryConnection(client, dns.ipv6, 53);
			claim(problem === undefined, `the IPv6 Service does not answer: ${problem}`);
		});

		await step('IPv6 works, and getaddrinfo puts it first now: what asks by name does not notice', async () => {
			await reaches(client, 'ipv6');
			await claimOrder(client, 'ipv6');
			const family = await familyTaken(client);
			claim(family === 'ipv6', `curl takes ${family}`);
		});

		await step('cure: without the blackhole both families work, and IPv4 is first again', async () => {
			await client.$`ip -4 route del blackhole default`;
			await reaches(client, 'ipv4');
			await reaches(client, 'ipv6');
			await claimOrder(client, 'ipv4');
			const problem = await tryConnection(client, dns.ipv4, 53);
			claim(problem === undefined, `the IPv4 Service does not answer: ${problem}`);
		});

		await step('the mistake on the router: its default route of IPv4 is a blackhole', async () => {
			await gateway.$`ip -4 route prepend blackhole default`;
		});

		await step('symptom: IPv4 connections hang, and nothing tells the node', async () => failsWith(client, outside.ipv4, port, 'no answer'));

		await step('IPv6 works, but IPv4 stays first: only what tries both at once does not notice', async () => {
			await reaches(client, 'ipv6');
			await claimOrder(client, 'ipv4');
			// It begins with IPv6 too when IPv4 has not answered after 200 ms (curl(1), --happy-eyeballs-timeout-ms).
			const family = await familyTaken(client);
			claim(family === 'ipv6', `curl takes ${family}`);
		});

		await step('with an unreachable route instead the router says so, and connections fail at once', async () => {
			await gateway.$`ip -4 route prepend unreachable default`;
			await failsWith(client, outside.ipv4, port, 'No route to host');
			await gateway.$`ip -4 route del unreachable default`;
		});

		await step('cure: without the blackhole on the router both families work', async () => {
			await gateway.$`ip -4 route del blackhole default`;
			await reaches(client, 'ipv4');
			await reaches(client, 'ipv6');
		});
	},
	mutation: {
		summary: 'routes to everywhere that are longer than the default route take its place',
		red: 'symptom: IPv4 connections of the node fail at once, with EINVAL',
		because: /is made, not with "Invalid argument"/,
		before: 'symptom: IPv4 connections of the node fail at once, with EINVAL',
		async apply({lab, node, router}) {
			const {machine, name: gateway} = router('router-1');
			const [network] = node('node-2').machine.links;
			const via = machine.links.find((link) => link.network === network?.network)?.addresses.find(({family}) => family === 'ipv4')?.address;
			claim(via !== undefined && lab.families.includes('ipv4'), `${gateway} has no IPv4 address on the network of node-2`);
			await node('node-2').$`ip -4 route add 0.0.0.0/1 via ${via}; ip -4 route add 128.0.0.0/1 via ${via}`;
		},
	},
});
