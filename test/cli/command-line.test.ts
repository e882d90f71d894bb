import test from 'ava';
import {verbs} from '../../lab/cli/verbs.ts';
import {vmlab} from '../rig/command.ts';

test('help lists every verb, on stdout', async (t) => {
	const {stdout, stderr, code} = await vmlab(['--help']);
	t.is(code, 0);
	t.is(stderr, '');
	for (const {command} of verbs) {
		t.true(stdout.includes(`vmlab ${command}`), command);
	}

	t.regex(stdout, /Exit codes: 0 done/);
});

test('a verb has a help of its own', async (t) => {
	const {stdout, code} = await vmlab(['version', '--help']);
	t.is(code, 0);
	t.regex(stdout, /^vmlab version/);
	t.regex(stdout, /--output/);
});

test('the version, as a sentence and as data', async (t) => {
	t.regex((await vmlab(['version'])).stdout, /^vmlab \d+\.\d+\.\d+, Node\.js 2\d\./);
	t.regex((await vmlab(['--version'])).stdout, /^vmlab \d/);
	const {vmlab: version} = JSON.parse((await vmlab(['version', '-o', 'json'])).stdout) as {vmlab: string};
	t.regex(version, /^\d+\.\d+\.\d+$/);
	t.regex((await vmlab(['version', '--output=yaml'])).stdout, /^vmlab: \d/m);
});

const usage = test.macro<[words: string[], expected: RegExp]>({
	async exec(t, words, expected) {
		const {stdout, stderr, code} = await vmlab(words);
		t.is(code, 2, stderr);
		t.is(stdout, '');
		t.regex(stderr, expected);
	},
	title: (_, words = []) => `usage: vmlab ${words.join(' ')}`,
});

test(usage, [], /No verb says what is to be done[^]*vmlab --help/);
test(usage, ['verison'], /no verb `verison`[^]*Did you mean `vmlab version`\?/);
test(usage, ['paln', 'ipv4'], /no verb `paln`[^]*Did you mean `vmlab plan`\?/);
test(usage, ['frobnicate'], /`frobnicate`[^]*vmlab --help/);
test(usage, ['frobnicate', 'ipv4', '--more'], /no verb `frobnicate`/);
test(usage, ['help', 'paln'], /no verb `paln`[^]*Did you mean `vmlab plan`\?/);
test(usage, ['version', '--outptu', 'json'], /`vmlab version` has no option `--outptu`[^]*Did you mean `--output`\?/);
test(usage, ['version', '--nonsense-of-mine'], /no option `--nonsense-of-mine`[^]*vmlab version --help/);
test(usage, ['plan', 'ipv4', '-x'], /no option `-x`/);
test(usage, ['version', '-o', 'xml'], /`--output` must be one of table, json, yaml, not `xml`[^]*vmlab version --help/);
test(usage, ['version', '-o'], /`--output` must be one of table, json, yaml\n/);
test(usage, ['cache', 'frob'], /`<action>` must be one of list, verify, prune, remove, rm, not `frob`/);
test(usage, ['version', 'more'], /`vmlab version` does not know what to do with `more`[^]*vmlab version --help/);
test(usage, ['plan'], /`vmlab plan` needs <scenario>[^]*vmlab plan --help/);
test(usage, ['plan', 'ipv4', '--graph=png'], /`--graph` must be one of mermaid, svg, not `png`/);
test(usage, ['plan', 'ipv4', '--graph', '-o', 'json'], /A picture is text of its own, and not of the form json[^]*--graph=svg/);
test(usage, ['plan', 'ipv4', '--graph', 'svg'], /`vmlab plan` does not know what to do with `svg`/);
test(usage, ['cp', 'a'], /`vmlab cp` needs <to>\n/);
test(usage, ['cp', '-r', 'a', 'node-1:b'], /`vmlab cp` has no option `-r`/);
test(usage, ['machine', 'puase', 'node-1'], /`<action>` must be one of list, pause[^]*Did you mean `pause`\?/);
test(usage, ['cp'], /`vmlab cp` needs <from> and <to>\n/);
test(usage, ['run', 'ipv4', '-j'], /The option `-j` needs a value[^]*vmlab run --help/);
test(usage, ['kubectl', 'mine', 'get', 'nodes'], /does not know what to do with `get`[^]*What is handed on stands after `--`: `vmlab kubectl \[lab\] -- arguments`/);
test(usage, ['exec'], /needs <names\.\.>[^]*Its form: `vmlab exec <names\.\.> -- command`/);
test(usage, ['run', 'ipv4', '--jobs', 'abc'], /--jobs is a whole number from 1, not `abc`/);
test(usage, ['run', 'ipv4', '--repeat', '0'], /--repeat is a whole number from 1, not `0`/);
test(usage, ['logs', 'node-1', '-n', 'x'], /--lines is a whole number from 0, not `x`/);
test(usage, ['capture', '-c', 'x', '-w', '/dev/null'], /--count is a whole number from 1, not `x`/);
test(usage, ['capture', '--duration', 'soon', '-w', '/dev/null'], /--duration is a duration[^]*90s[^]*not `soon`/);
test(usage, ['cache', 'prune', '--unused', 'long'], /--unused is a duration[^]*not `long`/);
test(usage, ['version', '-o', 'json', '-o', 'yaml'], /`--output` is given more than once/);
test(usage, ['list', '--cache-dir', '/a', '--cache-dir', '/b'], /`--cache-dir` is given more than once/);
test(usage, ['capture', '-f', 'tcp', '-f', 'udp', '-w', '/dev/null'], /`--filter` is given more than once/);
test(usage, ['plan', 'ipv4', '--set', 'etcd.version=x', '--set', 'nonsense'], /`nonsense` is not a setting/);
test(usage, ['link', 'list', 'mine', '--from'], /shows both directions/);
test(usage, ['cache', 'remove'], /Nothing is named[^]*vmlab cache list/);
test(usage, ['cp', '/nonexistent/file', 'node-1:/tmp'], /\/nonexistent\/file cannot be read: there is no such file/);
test(usage, ['plan', 'ipv4', '--set', 'nonsense'], /`nonsense` is not a setting[^]*etcd\.version/);
test(usage, ['run', 'ipv4', '--from', 'x/y'], /no checkpoint `x\/y`[^]*--checkpoint/);
test(usage, ['list', '--project', '/nonexistent'], /no folder `\/nonexistent`[^]*--project/);

test('help is a verb too', async (t) => {
	t.is((await vmlab(['help'])).stdout, (await vmlab(['--help'])).stdout);
	const {stdout, code} = await vmlab(['help', 'plan']);
	t.is(code, 0);
	t.is(stdout, (await vmlab(['plan', '--help'])).stdout);
	t.regex(stdout, /^vmlab plan <scenario>/);
});

test('variables mirror flags, and those of other things are no typing errors', async (t) => {
	const {stdout, code} = await vmlab(['version'], {env: {VMLAB_OUTPUT: 'json', VMLAB_KUBERNETES_DIR: '/somewhere', VMLAB_REPORT: 'x'}});
	t.is(code, 0);
	t.notThrows(() => {
		JSON.parse(stdout);
	});
});

test('a flag wins over its variable', async (t) => {
	const {stdout} = await vmlab(['version', '-o', 'table'], {env: {VMLAB_OUTPUT: 'json'}});
	t.regex(stdout, /^vmlab \d/);
});

test('the help of a verb that takes a command shows where it goes', async (t) => {
	t.regex((await vmlab(['kubectl', '--help'])).stdout, /^vmlab kubectl \[lab\] -- arguments\n\nRun kubectl/);
	t.regex((await vmlab(['exec', '--help'])).stdout, /^vmlab exec <names\.\.> -- command\n/);
});
