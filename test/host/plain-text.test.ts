import test from 'ava';
import {plainText} from '../../lab/host/plain-text.ts';

test('text stays as it is, tabs, line ends and letters of all languages too', (t) => {
	const text = 'a\tb\r\nZürich 東京 🙂\n[31m';
	t.is(plainText(text), text);
});

test('escape sequences and control characters go', (t) => {
	for (const [given, left] of [
		['\u001B[31mred\u001B[0m', 'red'],
		['\u001B[2J\u001B[1;1Hcleared', 'cleared'],
		['\u001B]0;a new title\u0007after', 'after'],
		['\u001B]52;c;c2VjcmV0\u001B\\after', 'after'],
		['\u001BPsomething\u001B\\after', 'after'],
		['\u001BcReset', 'Reset'],
		['\u001B(0line', 'line'],
		['\u009B31mC1', '31mC1'],
		['a\u0000b\u0007c\bd\u007Fe', 'abcde'],
		['cut off \u001B[', 'cut off '],
		['\u001B', ''],
	] as const) {
		t.is(plainText(given), left, JSON.stringify(given));
	}
});

test('a long text of nothing but escapes is done at once', (t) => {
	t.is(plainText('\u001B['.repeat(500_000)), '');
	t.is(plainText('\u001B]'.repeat(500_000)), '');
});
