/** A process that runs a scenario in which an `await` is missing, and another one after it. Prints what became of each as a line of JSON. */
import {defineScenario, type StepContext} from '../../lab/scenario/scenario.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {LabError} from '../../lab/host/error.ts';
import {createFakeLab, hang} from './fake-lab.ts';

async function play(steps: (context: StepContext) => Promise<void>): Promise<void> {
	const scenario = defineScenario({summary: 'a story', lab: {machines: {}, overlays: []}, budget: '20s', steps});
	const lab = createFakeLab(({command}, signal) => (command === 'sleep' ? hang(signal) : {exitCode: command === 'false' ? 1 : 0}));
	await runScenario({name: 'story', scenario, lab, events() {}, signal: new AbortController().signal}).then(() => {
		console.log(JSON.stringify({passed: true}));
	}, (error: unknown) => {
		console.log(JSON.stringify(error instanceof LabError ? {code: error.code, exitCode: error.exitCode, message: error.message, line: error.where?.line} : String(error)));
	});
}

await play(async ({step, node}) => {
	await step('a', async () => {
		void node('node-1').$`false`;
	});
	await step('b', async () => {
		await node('node-1').$`sleep`;
	});
});
// What is left behind when a scenario ends is interrupted, which is nobody's failure.
await play(async ({step, node}) => {
	await step('c', async () => {
		void node('node-1').$`sleep`;
	});
});
await play(async ({step, node}) => {
	await step('d', async () => {
		await node('node-1').$`true`;
	});
});
