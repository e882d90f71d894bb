import test from 'ava';
import {wantedChanges} from '../../lab/cli/link-options.ts';

test('options become one impairment for each direction that is meant', (t) => {
	t.deepEqual(wantedChanges({loss: '5%', delay: '20ms', limit: '50', to: true}), [{kind: 'impair', impairments: [{direction: 'to', loss: 0.05, delay: 20, limit: {frames: 50}}]}]);
	t.deepEqual(wantedChanges({cut: true, protocol: 'tcp', destinationPort: 443}), [{kind: 'impair', impairments: (['from', 'to'] as const).map((direction) => ({direction, match: {protocol: 'tcp', destinationPort: 443}, cut: true}))}]);
	t.deepEqual(wantedChanges({burst: '1%,25%,80%', from: true, seed: 3}), [{kind: 'impair', impairments: [{direction: 'from', burst: {enter: 0.01, leave: 0.25, loss: 0.8}, seed: 3}]}]);
});

test('the carrier is a change of its own, and goes together with impairments', (t) => {
	t.deepEqual(wantedChanges({carrier: 'down'}), [{kind: 'carrier', carrier: 'down'}]);
	t.deepEqual(wantedChanges({flap: '5s,500ms'}), [{kind: 'carrier', carrier: 'up', flap: {up: 5000, down: 500}}]);
	t.deepEqual(wantedChanges({carrier: 'up', mtu: 1400}).map(({kind}) => kind), ['carrier', 'impair']);
	t.deepEqual(wantedChanges({}), []);
});

test('what cannot be is refused in the words of the options', (t) => {
	for (const [options, expected] of [
		[{loss: '120%'}, /^--loss must be at most 100%$/],
		[{jitter: '5ms'}, /^--jitter needs a --delay/],
		[{burst: '1%'}, /^--burst is how likely/],
		[{burst: '1%,200%'}, /^--burst \(leave\) must be at most 100%/],
		[{flap: '5s'}, /^--flap is how long/],
		[{carrier: 'down', to: true}, /both directions, and --to names one/],
		[{protocol: 'tcp'}, /^Frames are named, and nothing that is to be wrong/],
		[{cut: true, mtu: Number.NaN}, /^--mtu is a number$/],
		[{cut: true, sourceMac: 'x'}, /^--source-mac must be a MAC address/],
	] as const) {
		t.throws(() => wantedChanges(options), {code: 'usage', message: expected}, JSON.stringify(options));
	}
});
