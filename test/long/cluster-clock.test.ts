/** A cluster that is frozen may be told that it is later, on the frozen lab of `ipv4`: what was from before goes on, or is told to have expired. */
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {until} from '../../lab/host/wait.ts';
import {fork} from '../../lab/index.ts';
import {type ClusterLook, lookAtCluster} from '../rig/cluster-look.ts';
import {readEvents} from '../rig/events-file.ts';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);
const long = 60 * 60_000;

test.serial.before('labs are those of the bench', () => {
	process.env['VMLAB_STATE_DIR'] = bench.state;
});

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

/** The ServiceAccount token of a pod that ran when the lab was frozen, and when that was, in seconds since 1970. */
let frozenToken: string | undefined;
let frozenTime = 0;
let frozenContainers: ClusterLook['containers'] = {};

/** The token of the cluster's DNS as its node has it: the volume is the kubelet's. */
const readToken = 'cat /var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token 2>/dev/null || true';

/** When a token was made and until when it holds (RFC 7519, section 4.1), in seconds since 1970. */
function timesOf(token: string): {iat: number; exp: number} {
	return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {iat: number; exp: number};
}

test.serial('a token that a pod had at the freeze is from then', async (t) => {
	t.timeout(long);
	const lab = await fork('ipv4');
	try {
		const look = await lookAtCluster(lab);
		frozenTime = look.time;
		frozenContainers = look.containers;
		for (const name of ['node-1', 'node-2']) {
			frozenToken = (await lab.machine(name).$`sh -c ${readToken}`).stdout.trim() || frozenToken;
		}

		t.true(Math.abs(timesOf(frozenToken ?? '').iat - frozenTime) < 3600);
	} finally {
		await lab.down();
	}
});

/** The status of the API server's answer to a token, asked for something that the cluster's DNS reads. */
async function statusFor(t: ExecutionContext, token: string): Promise<number> {
	const script = 'read -r token; printf "header = \\"Authorization: Bearer %s\\"\\n" "$token" | curl -s -o /dev/null -w "%{http_code}" --max-time 100 --cacert /etc/kubernetes/pki/ca.crt --config - https://192.168.1.1:6443/apis/discovery.k8s.io/v1/endpointslices';
	return Number(await bench.expect(t, 0, ['exec', 'ipv4', 'node-1', '--', `echo ${token} | (${script})`]));
}

// The longer jump shows more, and so its cluster is looked at more closely.
for (const [jump, seconds, closely] of [['1h', 3600, false], ['720h', 720 * 3600, true]] as const) {
	test.serial(`a cluster that is told that it is ${jump} later ${closely ? 'passes its scenario' : 'becomes ready'}, and what was from before goes on`, async (t) => {
		t.timeout(long);
		if (frozenToken === undefined) {
			t.fail('the test before gives the token');
			return;
		}

		if (closely) {
			const report = path.join(bench.folder, jump);
			await bench.expect(t, 0, ['run', 'ipv4', '--clock', jump, '--keep', '--report', report]);
			const events = await readEvents(path.join(report, 'events.jsonl'));
			t.true(events.some((event) => event.type === 'lab' && event.reason === 'forking'), 'it is a fork');
			t.true(events.filter((event) => event.type === 'step' && event.reason === 'passed').length >= 15);
		} else {
			await bench.expect(t, 0, ['up', 'ipv4', '--clock', jump]);
		}

		const ask = async (machine: string, command: string): Promise<string> => (await bench.expect(t, 0, ['exec', 'ipv4', machine, '--', command])).trim();
		for (const machine of ['node-1', 'node-2', 'router-1', 'tester-1']) {
			const ahead = Number(await ask(machine, 'date +%s')) - frozenTime - seconds;
			t.true(ahead > -60 && ahead < 1800, `${machine} is ${ahead} s from where it should be`);
		}

		// Tokens: that of before the freeze, no other, and the one that the kubelet has in its place by now.
		t.is(await statusFor(t, frozenToken), 200);
		t.is(await statusFor(t, frozenToken.slice(0, -8)), 401);
		if (closely) {
			await until('the kubelet has a new token for the cluster\'s DNS', async () => {
				const all = (await Promise.all(['node-1', 'node-2'].map(async (node) => ask(node, 'for t in /var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token; do cat "$t"; echo; done')))).flatMap((text) => text.split('\n').filter((line) => line.includes('.')));
				const old = all.filter((token) => timesOf(token).iat < frozenTime + seconds / 2);
				return old.length === 0 && all.length > Object.keys(frozenContainers).length ? {met: true, value: undefined} : {met: false, seen: `${old.length} of ${all.length} are from before`};
			}, {deadline: 20 * 60_000, interval: 10_000});
		}

		t.log(`tokens of before hold until ${new Date(timesOf(frozenToken).exp * 1000).toISOString()}, in a cluster where it is ${await ask('node-1', 'date --iso-8601=seconds')}`);
		// Nodes, pods, etcd.
		const objects = JSON.parse(await ask('node-1', 'kubectl get nodes,pods,events --all-namespaces --output=json')) as {items: any[]};
		t.deepEqual(objects.items.filter(({kind}) => kind === 'Node').map(({status}) => status.conditions.find(({type}: {type: string}) => type === 'Ready').status), ['True', 'True']);
		t.deepEqual(objects.items.filter(({reason}) => reason === 'NodeNotReady').map(({message, lastTimestamp}) => `${lastTimestamp} ${message}`), []);
		const containers = Object.fromEntries(objects.items.filter(({kind}) => kind === 'Pod').flatMap((pod) =>
			pod.status.containerStatuses.map((container: any) => [`${pod.metadata.namespace}/${pod.metadata.name} ${container.name}`, `${container.containerID} ${container.restartCount}`])));
		for (const [container, id] of Object.entries(frozenContainers)) {
			t.is(containers[container], id);
		}

		t.regex(await ask('node-1', 'set -a; . /etc/etcd/etcdctl.env; etcdctl endpoint health 2>&1'), /is healthy/);
		t.is(await ask('node-1', 'systemctl --failed --plain --no-legend'), '');
		await ask('node-2', 'getent ahosts kubernetes.default.svc.cluster.local');
		await bench.expect(t, 0, ['down', 'ipv4']);
	});
}

test.serial('a cluster that is told the host\'s time becomes ready, and has it', async (t) => {
	t.timeout(long);
	const lab = await fork('ipv4', {clock: 'host'});
	try {
		for (const {name} of lab.lab.machines) {
			const off = Number((await lab.machine(name).$`date +%s`).stdout) - Date.now() / 1000;
			t.true(Math.abs(off) < 60, `${name} is off by ${off} s`);
		}

		t.deepEqual(Object.values((await lookAtCluster(lab)).nodes), ['True', 'True']);
	} finally {
		await lab.down();
	}
});
