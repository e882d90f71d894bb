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

test(usage, [], /Name a verb/);
test(usage, ['verison'], /`verison`[^]*Did you mean `vmlab version`\?/);
test(usage, ['frobnicate'], /`frobnicate`[^]*vmlab --help/);
test(usage, ['version', '--outptu', 'json'], /no option `--outptu`[^]*Did you mean `--output`\?/);
test(usage, ['version', '--nonsense-of-mine'], /no option `--nonsense-of-mine`/);
test(usage, ['version', '-o', 'xml'], /table[^]*json[^]*yaml/);
test(usage, ['version', 'more'], /`more`/);

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
