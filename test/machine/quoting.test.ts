import {execFileSync} from 'node:child_process';
import test from 'ava';
import {quoteCommand, quoteWord, type Word} from '../../lab/machine/quoting.ts';

function command(pieces: TemplateStringsArray, ...values: ReadonlyArray<Word | readonly Word[]>): string {
	return quoteCommand(pieces, values);
}

test('A shell gets each value back as it was', (t) => {
	const values = ['', ' ', 'a b', '\'', '"', '$HOME', '`id`', '$(id)', '\\', '*', '~', '#', '!', '\n', 'ä€😀', '--', '-n', '{a,b}', 'a=b', ';&|<>()'];
	const output = execFileSync('bash', ['-c', `printf '%s\\0' ${values.map((value) => quoteWord(value)).join(' ')}`], {encoding: 'utf8'});
	t.deepEqual(output.split('\0').slice(0, -1), values);
});

test('Plain words stay readable', (t) => {
	t.is(command`curl -m ${5} http://${'10.0.0.2'}:${5001}/`, 'curl -m 5 http://10.0.0.2:5001/');
	t.is(command`echo ${['a', 'b c']} end`, 'echo a \'b c\' end');
	t.is(command`echo ${[]}end`, 'echo end');
});

test('What no word can hold is refused', (t) => {
	t.throws(() => quoteWord('a\0b'), {message: /is not a word of a command/});
	t.throws(() => command`echo ${undefined as unknown as string}`, {message: /`undefined` is not a word/});
});
