/** The scripts that say when kube-proxy is ready, and that make the lab's nodes: run on this computer, with a curl that answers what it is told to. */
import {chmod, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

/** Runs a script of the overlay, whose curl gives one of these answers after the other, the last one for ever. Gives its exit code, what it said, and how often it asked. */
async function play(name: string, families: string, answers: readonly string[]): Promise<{code: number; said: string; asked: number; sent: string}> {
	return withTemporaryFolder(async (folder) => {
		const put = async (file: string, text: string): Promise<void> => writeFile(path.join(folder, file), text);
		await put('cluster.env', `FAMILIES="${families}"\nPROXY_METRICS=http://127.0.0.1:10249/metrics\nAPI_SERVER=https://192.168.1.1:6443\n`);
		await put('node-1.json', '{"kind": "Node"}');
		await put('sent', '');
		await put('asked', '');
		await Promise.all(answers.map(async (answer, place) => put(`answer-${place + 1}`, answer)));
		await put('curl', `#!/bin/sh\necho x >>${folder}/asked\nn=$(wc -l <${folder}/asked)\n[ $n -le ${answers.length} ] || n=${answers.length}\ncat ${folder}/answer-$n\ncase "$*" in *@-*) cat >${folder}/sent ;; esac\n`);
		await put('jq', '#!/bin/sh\ncat >/dev/null\necho "$*"\n');
		await put('sleep', '#!/bin/sh\n');
		await Promise.all(['curl', 'sleep', 'jq'].map(async (program) => chmod(path.join(folder, program), 0o755)));
		const text = await readFile(path.join(packageFolder, 'overlays/kubernetes/rootfs/usr/lib/vmlab', name), 'utf8');
		await put('script', text.replaceAll('/etc/kubernetes/cluster.env', path.join(folder, 'cluster.env')).replaceAll('/etc/kubernetes/nodes', folder));
		const {exitCode, stderr} = await run('sh', [path.join(folder, 'script')], {env: {PATH: `${folder}:${process.env['PATH']}`}, accept: [0, 1], timeout: 60_000});
		return {code: exitCode, said: stderr, asked: (await readFile(path.join(folder, 'asked'), 'utf8')).length / 2, sent: await readFile(path.join(folder, 'sent'), 'utf8')};
	});
}

const metric = 'kubeproxy_sync_proxy_rules_last_timestamp_seconds';
const written = (family: string): string => `${metric}{ip_family="${family}"} 1.763e+09\n`;

test('kube-proxy is ready when it has written its rules in each family', async (t) => {
	const isReady = async (families: string, metrics: string): Promise<boolean> => (await play('proxy-is-ready', families, [metrics])).code === 0;
	t.true(await isReady('IPv4', written('IPv4')));
	t.true(await isReady('IPv4 IPv6', `# TYPE ${metric} gauge\n${written('IPv4')}${written('IPv6')}`));
	// A family has no line before its first time.
	t.false(await isReady('IPv4 IPv6', written('IPv6')));
	// It writes the rules of both, whatever the cluster has, those of IPv4 first.
	t.false(await isReady('IPv6', written('IPv4')));
	t.true(await isReady('IPv6', `${written('IPv4')}${written('IPv6')}`));
	t.false(await isReady('IPv6', `${written('IPv4')}${metric}{ip_family="IPv6"} 0\n`));
	t.false(await isReady('IPv4', 'something_else 1\n'));
	// Older versions have one line for all.
	t.true(await isReady('IPv6', `${metric} 1.763e+09\n`));
	t.false(await isReady('IPv4 IPv6', `${metric} 0\n`));
});

test('a node is declared until the API server takes it, and why it does not is told once', async (t) => {
	t.like(await play('declare-nodes', 'IPv4', ['\n000', '{}\n201']), {code: 0, asked: 2, sent: '{"kind": "Node"}\n'});
	const refused = await play('declare-nodes', 'IPv4', ['{"message": "no"}\n403', '{"message": "no"}\n403', '{}\n200']);
	t.like(refused, {code: 0, asked: 3});
	t.is(refused.said.split('{"message": "no"}').length, 2, refused.said);
});

test('a node that has other pod subnets keeps them, and is declared without', async (t) => {
	const {code, said, asked, sent} = await play('declare-nodes', 'IPv4', ['{"message": "node updates may not change podCIDR"}\n422', '{}\n200']);
	t.deepEqual([code, asked, sent], [0, 2, 'del(.spec.podCIDR, .spec.podCIDRs)\n']);
	t.regex(said, /does not take the node node-1 .*may not change podCIDR/);
	// What is refused for another reason is never taken for that.
	t.like(await play('declare-nodes', 'IPv4', ['{"message": "Invalid value"}\n422', '{"message": "Invalid value"}\n422', '{}\n200']), {asked: 3, sent: '{"kind": "Node"}\n'});
});
