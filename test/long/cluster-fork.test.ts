/** What a fork of a cluster promises, on the frozen lab of `ipv4`: it goes on as if nothing had been. */
import test, {type ExecutionContext} from 'ava';
import {until} from '../../lab/host/wait.ts';
import {fork, type ForkedLab} from '../../lab/index.ts';
import {type ClusterLook, lookAtCluster} from '../rig/cluster-look.ts';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);
const long = 60 * 60_000;
/** Seconds of the guests' time. */
const watched = 120;

test.serial.before('labs are those of the bench', () => {
	process.env['VMLAB_STATE_DIR'] = bench.state;
});

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

/** Looks at a cluster for two minutes of its own time, and checks that nothing changed in it. */
async function staysAsItIs(t: ExecutionContext, lab: ForkedLab): Promise<void> {
	const looks: ClusterLook[] = [];
	const failed: string[] = [];
	await until('two minutes have passed in the guest', async () => {
		// An answer that is not given is one of the things that may not be.
		await lookAtCluster(lab).then((look) => looks.push(look), (error: unknown) => failed.push(String(error)));
		const passed = looks.length === 0 ? 0 : looks.at(-1)!.time - looks[0]!.time;
		return passed >= watched ? {met: true, value: undefined} : {met: false, seen: `${passed} s, ${failed.join('; ')}`};
	}, {deadline: watched * 1000 * 5, interval: 5000});
	t.deepEqual(failed, []);
	t.true(looks.length >= 8, `${looks.length} looks`);
	const [begin] = looks;
	t.deepEqual(Object.keys(begin!.nodes).sort(), ['/node-1', '/node-2']);
	t.true(Object.keys(begin!.containers).length > 0);
	t.true(['kube-node-lease/node-1', 'kube-node-lease/node-2'].every((lease) => lease in begin!.leases), Object.keys(begin!.leases).join(' '));
	t.regex(begin!.etcd, /^[1-9]\d* [1-9]\d*$/);
	for (const look of looks) {
		t.deepEqual(Object.values(look.nodes), ['True', 'True']);
		t.deepEqual(look.lost.filter((time) => time >= (begin!.time - 60) * 1000), []);
		const {time: _time, lost: _lost, ...rest} = look;
		const {time: _begin, lost: _none, ...first} = begin!;
		t.deepEqual(rest, first);
	}
}

test.serial('nodes are Ready and stay so, no pod and no daemon restarts, no leader changes, for two minutes after the fork', async (t) => {
	t.timeout(long);
	const lab = await fork('ipv4');
	try {
		await staysAsItIs(t, lab);
	} finally {
		await lab.down();
	}
});

test.serial('a cluster is not told a time when its certificates have expired; each is told with its date', async (t) => {
	const outcome = await bench.run(['up', 'ipv4', '--name', 'old', '--clock', '100000h']);
	t.is(outcome.code, 4, outcome.stderr);
	t.regex(outcome.stderr, /the certificate of kube-apiserver, issued by vmlab kubernetes, expired on \d{4}-/);
});
