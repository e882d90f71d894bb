import test from 'ava';
import {claim} from '../../lab/scenario/assertion.ts';

test('a claim that holds says nothing', (t) => {
	t.notThrows(() => {
		claim('yes', 'it does not hold', ['a line']);
	});
});

test('one that does not fails with its sentence, its lines, and what else it was given as inspect shows it', (t) => {
	const error = t.throws(() => {
		claim(0, 'it does not hold', ['a line', {exitCode: 1, stdout: 'here'}, 7]);
	});
	t.is(error.message, 'it does not hold\na line\n{ exitCode: 1, stdout: \'here\' }\n7');
});
