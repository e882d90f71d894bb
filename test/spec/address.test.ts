import test from 'ava';
import {withinPrefix} from '../../lab/spec/address.ts';

test('an IPv4 address is the last 32 bits of one within a prefix of 96', (t) => {
	t.is(withinPrefix('fd00:64::/96', '192.168.2.231'), 'fd00:64::c0a8:2e7');
	t.is(withinPrefix('64:ff9b::/96', '255.255.255.255'), '64:ff9b::ffff:ffff');
});

test('another prefix, or an address that is none of IPv4, is refused', (t) => {
	for (const [prefix, address] of [['fd00:64::/64', '192.0.2.1'], ['fd00:64::/96', '1000::1'], ['fd00:64::/96', 'server-1']] as const) {
		t.throws(() => withinPrefix(prefix, address), {code: 'bad-value'}, `${address} in ${prefix}`);
	}
});
