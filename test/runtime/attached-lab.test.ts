import test from 'ava';
import {startFabric} from '../../lab/fabric/fabric.ts';
import type {LabError} from '../../lab/host/error.ts';
import {until} from '../../lab/host/wait.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import {type AttachedLab, attachLab} from '../../lab/runtime/attached-lab.ts';
import {bootLab, type Lab, type LabParts} from '../../lab/runtime/lab.ts';
import {readLab} from '../../lab/runtime/labs.ts';
import {endLab} from '../../lab/runtime/supervisor-client.ts';
import {createStandIns, type StandIns, standInPlan, standInStages, withStateFolder} from './stand-ins.ts';

/** A lab that runs, and what another process would see of it. */
async function withAttached(use: (scene: {lab: Lab; attached: AttachedLab; parts: StandIns}) => Promise<void>, changes: Partial<Plan> = {}, own: Partial<LabParts> = {}): Promise<void> {
	await withStateFolder(async (folder) => {
		const parts = {...createStandIns(), ...own};
		const [plan, made] = [{...standInPlan(['node-1', 'node-2']), ...changes}, await standInStages(folder)];
		const lab = await bootLab({name: 'one', plan, made, events() {}, signal: new AbortController().signal}, parts);
		const attached = attachLab(await readLab('one'), plan, made);
		try {
			await use({lab, attached, parts});
		} finally {
			attached.detach();
			await lab.down();
		}
	});
}

async function endOf({over}: AttachedLab): Promise<LabError> {
	return until('the lab is over', async () => (over.aborted ? {met: true, value: over.reason as LabError} : {met: false, seen: 'it is not'}), {deadline: 5000, interval: 20});
}

test.serial('a machine that ends by itself is told to who attached the lab', async (t) => {
	await withAttached(async ({attached, parts}) => {
		t.false(attached.over.aborted);
		process.kill(parts.machines.get('node-2')!.machine.pid, 'SIGKILL');
		const error = await endOf(attached);
		t.is(error.code, 'machine-exited');
		t.is(error.kind, 'machine');
	});
});

test.serial('a lab that is broken already is told as such', async (t) => {
	await withAttached(async ({lab, attached, parts}) => {
		process.kill(parts.machines.get('node-1')!.machine.pid, 'SIGKILL');
		await endOf(attached);
		const later = attachLab(lab.record, lab.plan, lab.made);
		t.is((await endOf(later)).code, 'machine-exited');
		later.detach();
	});
});

test.serial('the end of the lab is told as an interruption', async (t) => {
	await withAttached(async ({attached}) => {
		await endLab('one');
		t.is((await endOf(attached)).kind, 'interrupted');
	});
});

test.serial('who has detached is told of nothing, and the lab goes on', async (t) => {
	await withAttached(async ({lab, attached}) => {
		attached.detach();
		t.is((await readLab('one')).state, 'ready');
		t.false(lab.over.aborted);
		await lab.down();
		t.false(attached.over.aborted);
	});
});

test.serial('a lab whose owner says nothing any more is over', async (t) => {
	await withAttached(async ({lab}) => {
		const {record, plan, made} = lab;
		const lost = attachLab({...record, name: 'lost'}, plan, made);
		t.is((await endOf(lost)).code, 'supervisor-lost');
	});
});

test.serial('links are impaired as declared when the lab is ready, and seen and changed by who attached it', async (t) => {
	await withAttached(async ({attached, parts}) => {
		const told = async () => (await attached.links()).map(({link, carrier, to}) => [link, carrier, to.impairments]);
		t.deepEqual(await told(), [['node-1@cluster', 'up', []], ['node-2@cluster', 'up', [{direction: 'to', loss: 0.05, frames: 0}]]]);
		const before = await attached.changeLink({kind: 'impair', link: 'node-2@cluster', impairments: [{direction: 'to', cut: true}]});
		t.like(before.impairments, [{loss: 0.05}]);
		await attached.changeLink({kind: 'carrier', link: 'node-1@cluster', carrier: 'down'});
		t.deepEqual(await told(), [['node-1@cluster', 'down', []], ['node-2@cluster', 'up', [{direction: 'to', cut: true, frames: 0}]]]);
		t.deepEqual(parts.machines.get('node-1')!.commands, [['set_link', {name: 'nic-link0', up: false}]]);
		t.deepEqual(parts.machines.get('node-2')!.commands, []);
		await attached.changeLink({kind: 'put', link: 'node-2@cluster', setting: before});
		t.deepEqual((await told())[1], ['node-2@cluster', 'up', [{direction: 'to', loss: 0.05, frames: 0}]]);
		const error = await t.throwsAsync<LabError>(attached.changeLink({kind: 'clear', link: 'node-1@clutser'}), {code: 'unknown-link'});
		t.regex(error.hint!, /Did you mean `node-1@cluster`/);
	}, {links: [{link: 'node-2@cluster', impairments: [{direction: 'to', loss: 0.05}]}]}, {startFabric});
});
