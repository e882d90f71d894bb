/** The main promise, on one booted cluster: scenario `ipv4` passes, and the verbs reach what it runs on. */
import {readFile, stat, writeFile} from 'node:fs/promises';
import {once} from 'node:events';
import {type AddressInfo, createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {run} from '../../lab/host/program.ts';
import {readEvents} from '../rig/events-file.ts';
import {expectImageStore} from '../rig/image-store.ts';
import {type Bench, benchFor} from '../rig/machines.ts';
import {remainsOf} from '../rig/remains.ts';

/** The parts of `vmlab status -o json` that are looked at. */
interface Status {
	readonly state: string;
	readonly machines: ReadonlyArray<{readonly name: string; readonly role: string; readonly pid: number; readonly ssh: {readonly host: string; readonly port: number}}>;
	readonly forwards: ReadonlyArray<{readonly name: string; readonly hostPort: number}>;
}

const bench = benchFor(test);
/** The folder of the run's report. */
const report = (): string => path.join(bench.folder, 'report');

async function statusOf(t: Parameters<Bench['expect']>[0]): Promise<Status> {
	return JSON.parse(await bench.expect(t, 0, ['status', 'ipv4', '-o', 'json'])) as Status;
}

test.serial('the scenario ipv4 passes on two nodes, a router and a tester', async (t) => {
	t.timeout(50 * 60_000);
	await bench.expect(t, 0, ['run', 'ipv4', '--keep', '--report', report()]);
	const events = await readEvents(path.join(report(), 'events.jsonl'));
	const passed = events.flatMap((event) => (event.type === 'step' && event.reason === 'passed' ? [event.step] : []));
	t.true(passed.length >= 10, `only these steps ran: ${passed.join('; ')}`);
	t.is(events.filter((event) => event.type === 'step' && event.reason === 'failed').length, 0);
});

test.serial('the run left a report for people, for JUnit readers and for programs', async (t) => {
	for (const name of ['report.html', 'junit.xml', 'events.jsonl']) {
		t.true((await stat(path.join(report(), name))).size > 1000, name);
	}

	t.regex(await readFile(path.join(report(), 'junit.xml'), 'utf8'), /<testsuite [^>]*name="ipv4"/);
});

test.serial('kubectl on the host gets the nodes with the private kubeconfig through the port forward', async (t) => {
	const words = ['kubectl', 'ipv4', '--', 'get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}'];
	t.is(await bench.expect(t, 0, words), 'node-1 node-2');
	const kubeconfig = await bench.expect(t, 0, ['kubeconfig', 'ipv4']);
	const {forwards} = await statusOf(t);
	const port = forwards.find(({name}) => name === 'kube-apiserver')?.hostPort;
	t.regex(kubeconfig, new RegExp(`server: "?https://127\\.0\\.0\\.1:${port}"?`));
});

test.serial('without its client certificate the API server refuses the host', async (t) => {
	const {forwards} = await statusOf(t);
	const port = forwards.find(({name}) => name === 'kube-apiserver')?.hostPort;
	const {stdout} = await run('curl', ['--silent', '--insecure', '--output', '/dev/null', '--write-out', '%{http_code}', `https://127.0.0.1:${port}/api/v1/nodes`]);
	t.regex(stdout, /^40[13]$/);
});

test.serial('all that listens for the lab on the host listens on 127.0.0.1', async (t) => {
	const {machines} = await statusOf(t);
	const {stdout} = await run('ss', ['-H', '-l', '-n', '-t', '-p']);
	const ours = stdout.split('\n').filter((line) => machines.some(({pid}) => line.includes(`pid=${pid},`)));
	t.true(ours.length >= machines.length);
	t.deepEqual(ours.filter((line) => !/\s127\.0\.0\.1:\d+\s/.test(line)), []);
});

test.serial('pods run on the image store, and one with an image that the store lacks does not start', async (t) => {
	t.timeout(15 * 60_000);
	await expectImageStore(t, bench, 'ipv4');
});

test.serial('a command on a machine gives its output and its exit code', async (t) => {
	t.is((await bench.expect(t, 0, ['exec', 'ipv4', 'tester-1', '--', 'cat', '/etc/hostname'])).trim(), 'tester-1');
	await bench.expect(t, 3, ['exec', 'ipv4', 'router-1', '--', 'sh', '-c', 'exit 3']);
});

test.serial('a file goes to a machine and comes back the same', async (t) => {
	const [there, back] = [path.join(bench.folder, 'there'), path.join(bench.folder, 'back')];
	await writeFile(there, 'as it was\n');
	await bench.expect(t, 0, ['cp', there, 'ipv4/tester-1:/root/there']);
	await bench.expect(t, 0, ['cp', 'ipv4/tester-1:/root/there', back]);
	t.is(await readFile(back, 'utf8'), 'as it was\n');
});

test.serial('the journal of a unit and the console of a machine can be read', async (t) => {
	t.regex(await bench.expect(t, 0, ['logs', 'ipv4', 'node-1', '-u', 'kubelet']), /kubelet/);
	t.regex(await bench.expect(t, 0, ['console', 'ipv4', 'node-1', '--log']), /\S/);
});

test.serial('a machine reaches nothing outside its lab', async (t) => {
	// The host itself is 10.0.2.2 in QEMU's user network: a server there would be reached without restrict=on.
	let connections = 0;
	const server = createServer((socket) => {
		connections += 1;
		socket.destroy();
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const {port} = server.address() as AddressInfo;
	const dial = (address: string, to: number): string[] => ['exec', 'ipv4', 'tester-1', '--', 'ip', 'vrf', 'exec', 'mgmt', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${to}`];
	// The same words reach the machine's own ssh server through the same VRF: it is not the dialling that fails.
	await bench.expect(t, 0, dial('10.0.2.15', 22));
	t.not((await bench.run(dial('10.0.2.2', port))).code, 0);
	t.is(connections, 0);
	server.close();
	const routes = await bench.expect(t, 0, ['exec', 'ipv4', 'tester-1', '--', 'ip', '-4', 'route', 'show', 'table', 'main']);
	t.notRegex(routes, /10\.0\.2\./);
});

test.serial('up of a lab that runs says so and succeeds', async (t) => {
	const outcome = await bench.run(['up', 'ipv4']);
	t.is(outcome.code, 0);
	t.regex(outcome.stderr, /up already/);
});

test.serial('after down nothing of the lab remains', async (t) => {
	t.timeout(5 * 60_000);
	await bench.expect(t, 0, ['down', 'ipv4']);
	t.deepEqual(await remainsOf({name: 'ipv4', state: bench.state}), []);
	await bench.expect(t, 2, ['down', 'ipv4']);
});
