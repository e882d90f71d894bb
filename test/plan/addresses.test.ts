import test from 'ava';
import {addressAt, defaultNetworks, defaultRanges, isAddress, macAddress, overlaps, parseSubnet, podSubnet} from '../../lab/plan/addresses.ts';

test('the defaults are those of the design', (t) => {
	t.deepEqual(defaultNetworks['cluster']?.subnets, {ipv4: '192.168.1.0/24', ipv6: '1000::1:c0a8:100/120'});
	t.deepEqual(defaultNetworks['external']?.subnets, {ipv4: '192.168.2.0/24', ipv6: '1000::1:c0a8:200/120'});
	t.deepEqual(defaultRanges.external, {ipv4: '10.0.0.0/24', ipv6: '1000::/120'});
	t.deepEqual(defaultRanges.pods, {ipv4: '11.0.0.0/16', ipv6: '1100::/48'});
	t.deepEqual(defaultRanges.services, {ipv4: '12.0.0.0/16', ipv6: 'fd00:4000::/112'});
});

test('a subnet gets its canonical form', (t) => {
	t.deepEqual(parseSubnet('1000:0:0::1:c0a8:100/120', 'ipv6'), {family: 'ipv6', cidr: '1000::1:c0a8:100/120', prefix: 120});
	t.deepEqual(parseSubnet('10.0.0.0/8', 'ipv4'), {family: 'ipv4', cidr: '10.0.0.0/8', prefix: 8});
});

test('what is no subnet of the family is refused', (t) => {
	t.throws(() => parseSubnet('192.168.1.0', 'ipv4'), {code: 'bad-value'});
	t.throws(() => parseSubnet('192.168.1.0/33', 'ipv4'), {code: 'bad-value'});
	t.throws(() => parseSubnet('192.168.1.0/24', 'ipv6'), {code: 'bad-value', message: /is not a subnet of IPv6/});
	t.throws(() => parseSubnet('fd00::/64', 'ipv4'), {code: 'bad-value'});
});

test('a subnet with host bits is refused, with the right one', (t) => {
	const error = t.throws(() => parseSubnet('192.168.1.7/24', 'ipv4'), {code: 'bad-value'});
	t.like(error, {hint: 'Write the subnet\'s first address: 192.168.1.0/24.'});
});

test('machines get the address at their offset', (t) => {
	const cluster4 = parseSubnet('192.168.1.0/24', 'ipv4');
	const cluster6 = parseSubnet('1000::1:c0a8:100/120', 'ipv6');
	t.is(addressAt(cluster4, 1), '192.168.1.1');
	t.is(addressAt(cluster4, 201), '192.168.1.201');
	t.is(addressAt(cluster6, 1), '1000::1:c0a8:101');
	t.is(addressAt(cluster6, 201), '1000::1:c0a8:1c9');
});

test('an address beyond the subnet is none', (t) => {
	t.is(addressAt(parseSubnet('192.168.1.0/28', 'ipv4'), 14), '192.168.1.14');
	t.is(addressAt(parseSubnet('192.168.1.0/28', 'ipv4'), 15), undefined, 'the broadcast address');
	t.is(addressAt(parseSubnet('fd00::/124', 'ipv6'), 15), 'fd00::f');
	t.is(addressAt(parseSubnet('fd00::/124', 'ipv6'), 16), undefined);
});

test('nodes get their pod subnets by index', (t) => {
	t.is(podSubnet(parseSubnet('11.0.0.0/16', 'ipv4'), 1), '11.0.1.0/24');
	t.is(podSubnet(parseSubnet('11.0.0.0/16', 'ipv4'), 200), '11.0.200.0/24');
	t.is(podSubnet(parseSubnet('1100::/48', 'ipv6'), 2), '1100:0:0:2::/64');
	t.is(podSubnet(parseSubnet('11.0.0.0/23', 'ipv4'), 1), '11.0.1.0/24');
	t.is(podSubnet(parseSubnet('11.0.0.0/23', 'ipv4'), 2), undefined);
	t.is(podSubnet(parseSubnet('11.0.0.0/25', 'ipv4'), 1), undefined);
});

test('subnets that share addresses are seen', (t) => {
	t.true(overlaps(parseSubnet('10.0.0.0/8', 'ipv4'), parseSubnet('10.1.0.0/16', 'ipv4')));
	t.true(overlaps(parseSubnet('10.1.0.0/16', 'ipv4'), parseSubnet('10.0.0.0/8', 'ipv4')));
	t.false(overlaps(parseSubnet('1000::/120', 'ipv6'), parseSubnet('1000::1:c0a8:100/120', 'ipv6')));
});

test('link addresses are locally administered, and differ by network and machine', (t) => {
	t.is(macAddress(1, 201), '02:00:00:01:00:c9');
	const all = [0, 1, 2].flatMap((network) => [1, 2, 201, 221].map((offset) => macAddress(network, offset)));
	t.is(new Set(all).size, all.length);
	t.true(all.every((mac) => (Number.parseInt(mac.slice(0, 2), 16) & 0b11) === 0b10));
});

test('addresses are told from subnets and from the other family', (t) => {
	t.true(isAddress('192.168.1.1', 'ipv4'));
	t.false(isAddress('192.168.1.1', 'ipv6'));
	t.false(isAddress('192.168.1.0/24', 'ipv4'));
	t.true(isAddress('fd00::1', 'ipv6'));
});
