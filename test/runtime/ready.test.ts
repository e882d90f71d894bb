import test from 'ava';
import {run} from '../../lab/host/program.ts';
import {findCrash} from '../../lab/runtime/console-tail.ts';
import {paceOf} from '../../lab/runtime/pace.ts';
import {conditionCommand} from '../../lab/runtime/ready.ts';

const condition = {sentence: 's', deadline: '1s'} as const;

test('conditions are commands that every shell understands', async (t) => {
	for (const command of [conditionCommand({...condition, unit: 'etcd.service'}), conditionCommand({...condition, port: 6443}), conditionCommand({...condition, command: 'true'})]) {
		await t.notThrowsAsync(run('sh', ['-n', '-c', command]), command);
	}
});

test('a crash is found on the console, and nothing else is taken for one', (t) => {
	t.is(findCrash(['[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100']), 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100');
	t.is(findCrash(['x', 'vmlab: init failed: cannot mount layer 1']), 'vmlab: init failed: cannot mount layer 1');
	t.is(findCrash(['kernel.panic = 10', 'panic_on_oops']), undefined);
});

test('deadlines grow with slowness and with crowding, within limits', (t) => {
	t.is(paceOf(1, 2, 2), 1);
	t.is(paceOf(0.5, 1, 8), 1);
	t.is(paceOf(10, 4, 2), 20);
	t.is(paceOf(10, 64, 2), 40);
	t.is(paceOf(50, 64, 2), 60);
});
