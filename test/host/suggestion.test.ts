import test from 'ava';
import {suggest} from '../../lab/host/suggestion.ts';

test('a typo finds what was meant', (t) => {
	t.is(suggest('verison', ['summary', 'version', 'needs']), 'version');
	t.is(suggest('kubernets', ['base', 'kubernetes']), 'kubernetes');
	t.is(suggest('need', ['needs', 'units']), 'needs');
	t.is(suggest('IPV4', ['ipv4', 'nat64']), 'ipv4');
});

test('what is too far from everything finds nothing', (t) => {
	t.is(suggest('zebra', ['version', 'needs']), undefined);
	t.is(suggest('x', []), undefined);
	t.is(suggest('go', ['cri', 'etcd']), undefined);
});
