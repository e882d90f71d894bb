import test from 'ava';
import {parseFilter} from '../../lab/fabric/frame-filter.ts';
import {framePredicate} from '../../lab/fabric/frame-predicate.ts';
import {checkMatch, type FrameMatch} from '../../lab/spec/frame-match.ts';
import {mac} from './ethernet-frame.ts';
import {arp, icmp, ip, tcp, udp} from './packets.ts';

const frames: Readonly<Record<string, Buffer>> = {
	web: ip('tcp', '192.168.1.2', '10.0.0.2', tcp(40_000, 80)),
	answer: ip('tcp', '10.0.0.2', '192.168.1.2', tcp(80, 40_000), {from: mac(2), to: mac(1)}),
	dns: ip('udp', '1000::1', '1000::2', udp(5000, 53)),
	tagged: ip('udp', '192.168.1.2', '192.168.1.3', udp(5000, 53), {tags: [7]}),
	rest: ip('udp', '192.168.1.2', '192.168.1.3', udp(53, 53), {fragment: {id: 1, offset: 1480, more: false}}),
	ping: ip('icmp', '192.168.1.2', '192.168.1.3', icmp(8)),
	ping6: ip('icmpv6', '1000::1', '1000::2', icmp(128)),
	arp: arp(1, '192.168.1.2', '192.168.1.3'),
	short: Buffer.alloc(13),
};

/** Names of the frames that match. */
function matching(match: FrameMatch): string[] {
	const means = framePredicate(match);
	return Object.entries(frames).filter(([, frame]) => means === undefined || means(frame, 0, frame.length)).map(([name]) => name);
}

test('an empty match is true of every frame, whatever is in it', (t) => {
	t.deepEqual(matching({}), Object.keys(frames));
	t.deepEqual(matching(parseFilter('  ')), Object.keys(frames));
});

const filter = test.macro<[text: string, match: FrameMatch, names: readonly string[]]>({
	exec(t, text, match, names) {
		t.deepEqual(parseFilter(text), match);
		t.deepEqual(matching(match), names);
	},
	title: (_, text = '') => `filter: ${text}`,
});

test(filter, 'ip', {family: 'ipv4'}, ['web', 'answer', 'tagged', 'rest', 'ping']);
test(filter, 'ip6', {family: 'ipv6'}, ['dns', 'ping6']);
test(filter, 'arp', {protocol: 'arp'}, ['arp']);
test(filter, 'tcp', {protocol: 'tcp'}, ['web', 'answer']);
test(filter, 'icmp', {protocol: 'icmp'}, ['ping']);
test(filter, 'icmp6', {protocol: 'icmpv6'}, ['ping6']);
test(filter, 'tcp port 80', {protocol: 'tcp', port: 80}, ['web', 'answer']);
test(filter, 'src port 80', {sourcePort: 80}, ['answer']);
test(filter, 'tcp and dst port 80', {protocol: 'tcp', destinationPort: 80}, ['web']);
test(filter, 'udp port 53', {protocol: 'udp', port: 53}, ['dns', 'tagged']);
test(filter, 'ip and udp', {family: 'ipv4', protocol: 'udp'}, ['tagged', 'rest']);
test(filter, 'host 192.168.1.3', {address: '192.168.1.3'}, ['tagged', 'rest', 'ping', 'arp']);
test(filter, 'src host 10.0.0.2', {source: '10.0.0.2'}, ['answer']);
test(filter, 'dst host 1000:0::0002 and port 53', {destination: '1000::2', port: 53}, ['dns']);
test(filter, `ether src ${mac(2)}`, {sourceMac: mac(2)}, ['answer']);
test(filter, `ether host ${mac(2).toUpperCase()} tcp`, {mac: mac(2), protocol: 'tcp'}, ['web', 'answer']);
test(filter, 'vlan 7 and udp', {vlan: 7, protocol: 'udp'}, ['tagged']);
test(filter, 'tcp and host 1000::1', {protocol: 'tcp', address: '1000::1'}, []);

const refused = test.macro<[text: string, expected: RegExp]>({
	exec(t, text, expected) {
		const error = t.throws(() => parseFilter(text));
		t.regex(error.message, expected);
	},
	title: (_, text = '') => `no filter: ${text}`,
});

test(refused, 'tcp or udp', /`or`, which filters of the fabric do not know/);
test(refused, 'not tcp', /`not`/);
test(refused, 'tpc', /the word `tpc`, which means nothing/);
test(refused, 'tcp udp', /two things at once: tcp and udp/);
test(refused, 'port', /ends where `port` needs a value/);
test(refused, 'port http', /`http` where the number of `port` must be/);
test(refused, 'vlan blue', /`blue` where the number of `vlan` must be/);
test(refused, 'vlan 4095', /`4095` is not a VLAN/);
test(refused, 'port 70000', /`70000` is not a port/);
test(refused, 'host 192.168.1.300', /`192.168.1.300` is not a address/);
test(refused, 'ether host 02:00', /`02:00` is not a MAC address/);
test(refused, 'icmp port 80', /icmp has no ports/);
test(refused, 'ip6 icmp', /icmp is not of the family ipv6/);

test('a match that nobody could have meant is refused', (t) => {
	t.throws(() => checkMatch({protocol: 'tpc' as 'tcp'}), {code: 'unknown-protocol'});
	t.throws(() => checkMatch({family: 'ipv5' as 'ipv4'}), {code: 'bad-value'});
	t.throws(() => checkMatch({port: 1.5}), {code: 'bad-value'});
	t.throws(() => checkMatch({family: 'ipv4', protocol: 'arp'}), {code: 'usage'});
});
