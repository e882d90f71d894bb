/** A fork as the fixture of another test runner: the example of the README, and what all tests need that boot machines. */
import test from 'ava';
import {fork} from 'vmlab';

test('the tester reaches the API server over the router', async (t) => {
	t.timeout(60 * 60_000); // the first time, when the lab is booted and frozen
	const lab = await fork('ipv4'); // a scenario's lab, or a lab of your own (defineLab)
	t.teardown(() => lab.down());
	await lab.machine('tester-1').$`curl -sk https://192.168.1.1:6443/version`;
	t.is((await lab.cluster.get('nodes')).items.length, 2);
	t.log(lab.cluster.kubeconfig); // for kubectl, or any client
});

import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

test.serial.before('the fixture\'s labs are the bench\'s', () => {
	process.env['VMLAB_STATE_DIR'] = bench.state;
});
