import test from 'ava';
import {type Impairment, type ImpairmentDeclaration, linkName, parseFlap, parseImpairment, sameFrames, showImpairment} from '../../lab/spec/impairment.ts';
import {problemsOf} from '../../lab/spec/schema.ts';

const texts = (value: unknown): string[] => problemsOf('impairment', value).map(({text}) => text);

test('a declaration becomes numbers, for both directions where it names none', (t) => {
	const declared: ImpairmentDeclaration = {
		match: {protocol: 'tcp', port: 443, family: 'ipv6', mac: '02:00:00:00:00:AB'}, loss: '5%', burst: {enter: '1%', leave: '25%'}, delay: '20ms', jitter: '5ms', reorder: '25%',
		duplicate: '0.5%', corrupt: '0.1%', rate: '10Mbit', limit: 100, mtu: 1400, seed: 7,
	};
	t.deepEqual(texts(declared), []);
	const numbers: Impairment = {
		direction: 'from', match: {family: 'ipv6', protocol: 'tcp', port: 443, mac: '02:00:00:00:00:ab'}, loss: 0.05, burst: {enter: 0.01, leave: 0.25, loss: 1}, delay: 20, jitter: 5, reorder: 0.25,
		duplicate: 0.005, corrupt: 0.001, rate: 10_000_000, limit: {frames: 100}, mtu: 1400, seed: 7,
	};
	t.deepEqual(parseImpairment(declared), [numbers, {...numbers, direction: 'to'}]);
	t.deepEqual(parseImpairment({direction: 'to', cut: true, match: {}}), [{direction: 'to', cut: true}]);
	t.deepEqual(parseImpairment({direction: 'to', rate: '512kbit', limit: '256KiB', burst: {enter: '2%', leave: '50%', loss: '80%'}}), [
		{direction: 'to', rate: 512_000, limit: {bytes: 262_144}, burst: {enter: 0.02, leave: 0.5, loss: 0.8}},
	]);
	t.deepEqual(parseFlap({up: '5s', down: '500ms'}), {up: 5000, down: 500});
	t.is(linkName('node-1', 'cluster'), 'node-1@cluster');
});

test('what cannot be is refused with a sentence', (t) => {
	for (const [value, expected] of [
		[{loss: '120%'}, /^`loss` must be at most 100%$/],
		[{loss: '5'}, /^`loss` must be a percentage such as 5%/],
		[{loss: '-5%'}, /^`loss` must be a percentage/],
		[{loss: 0.05}, /^`loss` must be a text, not a number$/],
		[{burst: {enter: '1%'}}, /^`burst\.leave` is missing/],
		[{burst: {enter: '1%', leave: '101%'}}, /^`burst\.leave` must be at most 100%$/],
		[{jitter: '5ms'}, /^`jitter` needs a `delay`/],
		[{loss: '1%', reorder: '5%'}, /^`reorder` needs a `delay`/],
		[{loss: '1%', limit: 5}, /^`limit` needs a `delay` or a `rate`/],
		[{delay: '5'}, /^`delay` must be a duration/],
		[{rate: '10MB'}, /^`rate` must be a rate such as/],
		[{rate: '0Mbit'}, /^`rate` must be a rate .* of at least 1bit$/],
		[{rate: '1Mbit', limit: 0}, /^`limit` must be a number of frames from 1/],
		[{rate: '1Mbit', limit: '5MB'}, /^`limit` must be a number of frames/],
		[{rate: '1Mbit', limit: 100_001}, /^`limit` must be a number of frames/],
		[{mtu: 0}, /^`mtu` must be at least 1$/],
		[{cut: true, delay: '1s'}, /^`cut` lets nothing pass, and leaves nothing for `delay`$/],
		[{cut: false}, /^`cut` must be/],
		[{}, /^it does nothing: it must have one of cut, loss/],
		[{match: {port: 80}}, /^it does nothing/],
		[{seed: 1}, /^it does nothing/],
		[{cut: true, seed: -1}, /^`seed` must be at least 0$/],
		[{cut: true, direction: 'in'}, /^`direction` must be one of from, to$/],
		[{cut: true, match: {protocol: 'icmpv6', family: 'ipv4'}}, /^`match\.protocol` means no frame: icmpv6 is not of the family ipv4/],
		[{cut: true, match: {family: 'ipv6', address: '10.0.0.1'}}, /^`match\.address` means no frame: 10\.0\.0\.1 is of ipv4, and the family ipv6 is not/],
		[{cut: true, match: {protocol: 'icmp', source: 'fd00::1'}}, /^`match\.source` means no frame: fd00::1 is of ipv6, and the protocol icmp is not/],
		[{cut: true, match: {source: '10.0.0.1', destination: 'fd00::2'}}, /^`match\.destination` means no frame: fd00::2 is of ipv6, and the source 10\.0\.0\.1 is not/],
		[{cut: true, match: {protocol: 'arp', family: 'ipv6'}}, /^`match\.protocol` means no frame: arp is not of the family ipv6/],
		[{cut: true, match: {protocol: 'arp', family: 'ipv4'}}, /arp is not of the family ipv4\. Leave the family out\.$/],
		[{cut: true, match: {address: '192.168.1.300'}}, /^`match\.address` must be an IPv4 or IPv6 address/],
		[{cut: true, match: {protocol: 'icmp', destinationPort: 53}}, /^`match\.destinationPort` means no frame: icmp has no ports/],
		[{cut: true, match: {protocol: 'http'}}, /^`match\.protocol` must be one of arp, icmp/],
		[{cut: true, match: {port: 70_000}}, /^`match\.port` must be at most 65535$/],
		[{cut: true, match: {mac: '02:00'}}, /^`match\.mac` must be a MAC address/],
		[{lose: '5%'}, /^`lose` is not known; did you mean `loss`\?$/],
	] as const) {
		const [first, ...rest] = texts(value);
		t.regex(first ?? 'nothing', expected, JSON.stringify(value));
		t.true(rest.length === 0 || first!.includes('not known'), rest.join('; '));
	}

	t.throws(() => parseFlap({up: '50ms', down: '1s'}), {code: 'bad-value', message: /50ms/});
	t.throws(() => parseFlap({up: '1s', down: '1d' as '1s'}), {code: 'bad-value'});
});

test('in a lab the wrong part is named with the way to it', (t) => {
	const lab = {machines: {node: {count: 1}}, overlays: []};
	t.deepEqual(problemsOf('lab', {...lab, links: {'node-1@cluster': [{loss: '5%'}, {jitter: '5ms'}]}}).map(({text}) => text), ['`links.node-1@cluster[1].jitter` needs a `delay`, which varies by it']);
	t.deepEqual(problemsOf('lab', {...lab, links: {'node-1@cluster': {loss: '5%'}}}).map(({text}) => text), ['`links.node-1@cluster` must be a list, not an object']);
});

test('two impairments are of the same frames when direction and match are the same', (t) => {
	const [one] = parseImpairment({direction: 'to', match: {protocol: 'tcp', port: 80}, cut: true});
	const [other] = parseImpairment({direction: 'to', match: {port: 80, protocol: 'tcp'}, delay: '5ms'});
	t.true(sameFrames(one!, other!));
	t.false(sameFrames(one!, {...other!, direction: 'from'}));
	t.false(sameFrames(one!, {direction: 'to', cut: true}));
	t.true(sameFrames({direction: 'to', cut: true}, {direction: 'to', match: {}, loss: 1}));
});

test('impairments are shown in words', (t) => {
	const shown = (declared: ImpairmentDeclaration): string => showImpairment(parseImpairment({direction: 'to', ...declared})[0]!);
	t.is(shown({loss: '5%', delay: '20ms', jitter: '5ms', rate: '10Mbit', limit: 50}), 'loss 5%, delay 20ms jitter 5ms, rate 10Mbit, limit 50');
	t.is(shown({match: {protocol: 'tcp', destinationPort: 443}, cut: true}), 'tcp destination port 443: cut');
	t.is(shown({burst: {enter: '0.1%', leave: '25%', loss: '80%'}, mtu: 1400, seed: 3}), 'burst 0.1% 25% loss 80%, mtu 1400, seed 3');
	t.is(shown({delay: '1.5s', reorder: '25%', duplicate: '1%', corrupt: '0.01%', limit: '256KiB'}), 'delay 1.5s, reorder 25%, duplicate 1%, corrupt 0.01%, limit 256KiB');
});
