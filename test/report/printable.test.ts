import test from 'ava';
import {printable, printableLine} from '../../lab/report/printable.ts';
import {hostileText} from './recorded-run.ts';

test('Escape sequences are taken out, with what they carry', (t) => {
	t.is(printable('\u001B[1;31mred\u001B[0m \u001B]8;;http://evil\u0007link\u001B]8;;\u0007 \u001BPq\u001B\\x'), 'red link x');
	t.is(printable('\u001B]0;a title that never ends'), '');
	t.is(printable('\u001B]0;cut\nnext line'), '\nnext line');
});

test('Other control characters, changes of direction and halves of characters are shown as a mark', (t) => {
	t.is(printable('a\u0000b\u0008c\rd\u007Fe\u202Ef\uD800g'), 'a\uFFFDb\uFFFDc\uFFFDd\uFFFDe\uFFFDf\uFFFDg');
});

test('Ordinary text, newlines and all languages stay as they are', (t) => {
	t.is(printable('a\r\nb\tä 中文 😀'), 'a\nb    ä 中文 😀');
});

test('Nothing that steers a terminal is left of hostile text', (t) => {
	t.notRegex(printable(hostileText), /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E]/);
});

test('A line is one line, and not longer than it may be', (t) => {
	t.is(printableLine(' a \n\n b '), 'a b');
	t.is(printableLine('😀'.repeat(10), 5), '😀😀😀😀…');
});
