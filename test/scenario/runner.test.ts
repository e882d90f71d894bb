import assert from 'node:assert/strict';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {defineScenario, type StepContext} from '../../lab/scenario/scenario.ts';
import {createFakeLab, hang, recordEvents, type Answer, type FakeLab} from './fake-lab.ts';

/** An observation that is met after a moment. */
function later(time: number) {
	return async () => (Date.now() > time ? {met: true as const, value: undefined} : {met: false as const, seen: 'not yet'});
}

interface Outcome {
	error: LabError | undefined;
	lines: string[];
	lab: FakeLab;
	events: ReturnType<typeof recordEvents>['events'];
}

async function play(steps: (context: StepContext) => Promise<void>, options: {answer?: Answer; budget?: `${number}ms`; signal?: AbortSignal; evidence?: string; speed?: number} = {}): Promise<Outcome> {
	const lab = createFakeLab(options.answer, options.speed);
	const {events, sink, lines} = recordEvents();
	const scenario = defineScenario({summary: 'a story', lab: {machines: {}, overlays: []}, budget: options.budget ?? '20000ms', steps});
	let error: unknown;
	try {
		await runScenario({
			name: 'story', scenario, lab, events: sink, signal: options.signal ?? new AbortController().signal,
			...(options.evidence === undefined ? {} : {evidence: options.evidence}),
		});
	} catch (thrown) {
		error = thrown;
	}

	return {error: error as LabError | undefined, lines: lines(), lab, events};
}

/** Fails with this code, and an exit code of this number. */
function failedWith(t: ExecutionContext, outcome: Outcome, code: string, exitCode: number): LabError {
	const {error} = outcome;
	t.true(error instanceof LabError, String(error));
	t.is(error?.code, code, error?.message);
	t.is(error?.exitCode, exitCode);
	t.is(outcome.lines.at(-1), 'scenario failed');
	return error as LabError;
}

test('A scenario whose steps pass passes, and each step is a line', async (t) => {
	const outcome = await play(async ({step, node}) => {
		const name = await step('the node has a name', async () => (await node('node-1').$`hostname`).stdout);
		await step(`it is ${name}`, async () => {
			assert.equal(name, 'node-1');
		});
	}, {answer: ({machine}) => ({stdout: machine})});
	t.is(outcome.error, undefined);
	t.deepEqual(outcome.lines, [
		'scenario started', 'step started the node has a name', 'step passed the node has a name',
		'step started it is node-1', 'step passed it is node-1', 'scenario passed',
	]);
	t.deepEqual(outcome.lab.opened, ['node-1']);
	t.deepEqual(outcome.lab.closed, ['node-1']);
});

test('Each interpolated value of a command is one word', async (t) => {
	const {lab} = await play(async ({step, node}) => {
		await step('it quotes', async () => {
			await node('node-1').$`echo ${'a b; rm -rf /'} ${['x', 'it\'s', 3]}`;
		});
	});
	t.is(lab.calls[0]?.command, 'echo \'a b; rm -rf /\' x \'it\'\\\'\'s\' 3');
});

test('Output of a command comes without its last newline, and a file as it is', async (t) => {
	const {error} = await play(async ({step, node}) => {
		await step('read', async () => {
			t.is((await node('node-1').$`cat`).stdout, 'a\n');
			t.is((await node('node-1').try$`cat`).stdout, 'a\n');
			t.is(await node('node-1').readFile('/a'), 'a\n\n');
		});
	}, {answer: () => ({stdout: 'a\n\n'})});
	t.is(error, undefined);
});

test('A command that fails fails the step with the command, its exit code, the end of its output, and the place in the test', async (t) => {
	const outcome = await play(async ({step, tester}) => {
		await step('the tester reaches the service', async () => {
			await tester('tester-1').$`curl http://10.0.0.2:5001`;
		});
	}, {answer: () => ({exitCode: 7, stdout: 'trying', stderr: 'curl: (7) Connection refused\n'})});
	const error = failedWith(t, outcome, 'step-failed', 1);
	t.is(error.message, 'the tester reaches the service: `curl http://10.0.0.2:5001` on tester-1 ended with exit code 7: curl: (7) Connection refused');
	t.deepEqual(error.details, ['trying', 'curl: (7) Connection refused']);
	t.is(error.where?.file, import.meta.filename);
});

test('A failed assertion fails the step, and only the test\'s own stack frames are told', async (t) => {
	const check = async (): Promise<void> => {
		assert.equal(1, 2);
	};

	const outcome = await play(async ({step}) => {
		await step('one is two', async () => {
			await check();
		});
	});
	const error = failedWith(t, outcome, 'step-failed', 1);
	t.is(error.where?.file, import.meta.filename);
	t.false(error.details.some((line) => line.includes('/lab/') || line.includes('node:') || line.includes('node_modules')), error.details.join('\n'));
});

test('A scenario ends with its first failed step, though the script catches the rejection', async (t) => {
	const outcome = await play(async ({step}) => {
		await step('first', async () => {
			throw new Error('no');
		}).catch(() => {});
		await step('second', async () => {});
	});
	failedWith(t, outcome, 'step-failed', 1);
	t.false(outcome.lines.includes('step started second'));
});

test('A machine that breaks is not a claim that failed', async (t) => {
	const outcome = await play(async ({step, node}) => {
		await step('it answers', async () => {
			await node('node-2').$`true`;
		});
	}, {
		answer() {
			throw new Error('the connection ended');
		},
	});
	const error = failedWith(t, outcome, 'machine-broke', 6);
	t.regex(error.message, /node-2.*the connection ended/);
});

test('After a connection broke the next command gets a new one', async (t) => {
	let first = true;
	const {error, lab} = await play(async ({step, node}) => {
		await step('it comes back', async () => {
			await t.throwsAsync(node('node-1').$`reboot`);
			await node('node-1').$`true`;
		});
	}, {
		answer() {
			if (first) {
				first = false;
				throw new Error('the connection ended');
			}

			return {};
		},
	});
	t.is(error, undefined);
	t.deepEqual(lab.opened, ['node-1', 'node-1']);
});

test('A step that rejects refutes its claim', async (t) => {
	const outcome = await play(async ({refuted, tester, note}) => {
		const error = await refuted('before the Service exists nothing answers', async () => tester('tester-1').$`curl x`);
		note(error.message);
	}, {answer: () => ({exitCode: 7})});
	t.is(outcome.error, undefined);
	t.true(outcome.lines.includes('step passed refuted: before the Service exists nothing answers'));
	t.true(outcome.events.some((event) => event.type === 'note' && event.text.includes('exit code 7')));
});

test('A negative control that does not fail fails the scenario', async (t) => {
	const outcome = await play(async ({refuted}) => {
		await refuted('nothing answers', async () => {});
	});
	t.regex(failedWith(t, outcome, 'step-failed', 1).message, /^refuted: nothing answers: Negative control/);
});

test('What was not seen, or not whole, refutes nothing', async (t) => {
	for (const error of [failure.recordingCut(new Date(), []), failure.flowNotClear('tcp', 2, []), failure.outputTooLong('node-1', 'yes', 1), failure.commandTimedOut('node-1', 'sleep', 1, [])]) {
		const outcome = await play(async ({refuted}) => {
			await refuted('nothing goes there', async () => {
				throw error;
			});
		});
		t.not(outcome.error, undefined, error.code);
	}

	const none = await play(async ({refuted}) => {
		await refuted('something goes there', async () => {
			throw failure.flowNotClear('tcp', 0, []);
		});
	});
	t.is(none.error, undefined);
});

test('A wait refutes what its last look does', async (t) => {
	const control = async (look: () => Promise<void>): Promise<LabError | undefined> => (await play(async ({refuted, eventually}) => {
		await refuted('nothing goes there', async () => eventually('it is seen', look, {deadline: '20ms'}));
	})).error;
	t.not(await control(async () => {
		throw failure.flowNotClear('tcp', 2, []);
	}), undefined);
	t.not(await control(async () => {
		(undefined as unknown as {length: () => void}).length();
	}), undefined);
	t.is(await control(async () => {
		throw new Error('nothing came');
	}), undefined);
});

test('A broken machine or a mistake in the script refutes nothing', async (t) => {
	const broken = await play(async ({refuted}) => {
		await refuted('nothing answers', async () => {
			throw failure.machineBroke('node-1', 'it is gone');
		});
	});
	failedWith(t, broken, 'machine-broke', 6);
	const mistaken = await play(async ({refuted}) => {
		await refuted('nothing answers', async () => {
			(undefined as unknown as {length: () => void}).length();
		});
	});
	t.regex(failedWith(t, mistaken, 'step-failed', 1).message, /^refuted: nothing answers: TypeError: /);
});

test('What is awaited with eventually is looked at until it holds', async (t) => {
	let looks = 0;
	const outcome = await play(async ({step, eventually}) => {
		await step('it comes', async () => {
			t.is(await eventually('the third look succeeds', async () => {
				looks += 1;
				assert.ok(looks === 3, `look ${looks}`);
				return 'seen';
			}, {interval: '10ms'}), 'seen');
		});
	});
	t.is(outcome.error, undefined);
	t.is(looks, 3);
});

test('What never holds fails with its sentence, and with what was seen last', async (t) => {
	const outcome = await play(async ({step, eventually, node}) => {
		await step('it comes', async () => {
			await eventually('all pods are ready', async () => {
				await node('node-1').fail$`count pods`;
			}, {deadline: '50ms', interval: '10ms'});
		});
	}, {answer: () => ({stdout: '3 of 4'})});
	const error = failedWith(t, outcome, 'step-failed', 1);
	t.regex(error.message, /^it comes: all pods are ready: not within/);
	t.regex(error.details.join('\n'), /last seen: .*count pods.*succeeded, and must not: 3 of 4/);
	t.is(outcome.events.filter((event) => event.type === 'wait').length, 2);
});

test('A command that hangs ends with the wait around it', async (t) => {
	const outcome = await play(async ({step, eventually, node}) => {
		await step('it comes', async () => {
			await eventually('the server answers', async () => node('node-1').$`curl slow`, {deadline: '50ms', interval: '10ms'});
		});
	}, {answer: async (_call, signal) => hang(signal)});
	t.regex(failedWith(t, outcome, 'step-failed', 1).details.join('\n'), /`curl slow` on node-1 did not end/);
});

test('A command that is cut short by the end of its wait does not hide what was seen before', async (t) => {
	let looks = 0;
	const outcome = await play(async ({step, eventually, node}) => {
		await step('it comes', async () => {
			await eventually('the server answers', async () => node('node-1').$`curl slow`, {deadline: '300ms', interval: '10ms'});
		});
	}, {answer: async (_call, signal) => (++looks > 2 ? hang(signal) : {exitCode: 28, stderr: 'curl: (28) timed out'})});
	t.regex(failedWith(t, outcome, 'step-failed', 1).details.join('\n'), /curl slow` on node-1 .*28/);
});

test('A scenario that takes longer than its budget ends with exit code 124 and the step that was running', async (t) => {
	const outcome = await play(async ({step}) => {
		await step('the long one', async () => hang(undefined));
	}, {budget: '50ms'});
	const error = failedWith(t, outcome, 'budget-exceeded', 124);
	t.regex(error.message, /in the step "the long one"/);
	t.is(outcome.lines.at(-2), 'step failed the long one');
});

test('The budget and the deadlines grow with the slowness of the machines', async (t) => {
	const outcome = await play(async ({step, eventually}) => {
		await step('slow', async () => {
			const start = performance.now();
			await eventually('it is late enough', async () => {
				assert.ok(performance.now() - start > 120);
			}, {deadline: '50ms', interval: '10ms'});
		});
	}, {budget: '100ms', speed: 100});
	t.is(outcome.error, undefined);
});

test('Ctrl-C ends a scenario as interrupted, in whatever it is', async (t) => {
	const controller = new AbortController();
	const outcome = await play(async ({step, node}) => {
		await step('long', async () => {
			setTimeout(() => {
				controller.abort(failure.interrupted('SIGINT'));
			}, 20);
			await node('node-1').$`sleep infinity`;
		});
	}, {signal: controller.signal, answer: async (_call, signal) => hang(signal)});
	t.is(failedWith(t, outcome, 'interrupted', 130).message, 'Interrupted by SIGINT');
	t.deepEqual(outcome.lab.closed, ['node-1']);
});

test('A machine that ends by itself ends the scenario at once, with what is known of it', async (t) => {
	const over = new AbortController();
	const {events, sink} = recordEvents();
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '20s', steps: async ({step}) => step('long', async () => {
		over.abort(failure.machineBroke('node-2', 'the kernel panicked'));
		await hang(undefined);
	})});
	const running = runScenario({name: 'story', scenario, lab: {...createFakeLab(), over: over.signal}, events: sink, signal: new AbortController().signal});
	t.is((await t.throwsAsync<LabError>(running))?.exitCode, 6);
	t.true(events.some((event) => event.type === 'step' && event.reason === 'failed' && event.error.message.includes('the kernel panicked')));
});

test('A scenario that is interrupted before it starts runs nothing', async (t) => {
	const outcome = await play(async () => {
		t.fail();
	}, {signal: AbortSignal.abort(failure.interrupted('SIGTERM'))});
	failedWith(t, outcome, 'interrupted', 130);
});

test('A scenario without steps fails', async (t) => {
	failedWith(t, await play(async () => {}), 'no-steps', 1);
});

test('A step without await is told', async (t) => {
	failedWith(t, await play(async ({step}) => {
		void step('forgotten', async () => hang(undefined));
	}), 'step-misused', 3);
	const outcome = await play(async ({step}) => {
		void step('forgotten', async () => hang(undefined));
		await step('next', async () => {});
	});
	t.regex(failedWith(t, outcome, 'step-misused', 3).message, /"next" starts while "forgotten" is running/);
});

test('Steps nest one level', async (t) => {
	const outcome = await play(async ({step}) => {
		await step('outer', async () => Promise.all(['a', 'b'].map(async (name) => step(name, async () => {}))));
	});
	t.is(outcome.error, undefined);
	t.true(outcome.lines.includes('step passed outer / b'));
	failedWith(t, await play(async ({step}) => {
		await step('outer', async () => step('inner', async () => step('innermost', async () => {})));
	}), 'step-misused', 3);
});

test('Two steps of one title are an error, since the report could not tell them apart', async (t) => {
	failedWith(t, await play(async ({step}) => {
		await step('same', async () => {});
		await step('same', async () => {});
	}), 'step-misused', 3);
});

test('An unknown machine is named together with the known ones', async (t) => {
	const error = failedWith(t, await play(async ({node}) => {
		node('node-9');
	}), 'unknown-machine', 3);
	t.regex(error.hint ?? '', /node-1, node-2 and tester-1/);
});

test('A lab without a cluster says so when the cluster is used', async (t) => {
	failedWith(t, await play(async ({step, cluster}) => {
		await step('nodes', async () => cluster.get('nodes'));
	}), 'no-cluster', 3);
});

test('A file is written through a partial one, with its mode', async (t) => {
	const {lab} = await play(async ({step, node}) => {
		await step('write', async () => node('node-1').writeFile('/etc/a file', 'text', 0o600));
	});
	t.is(lab.calls[0]?.input, 'text');
	t.regex(lab.calls[0]?.command ?? '', /chmod 600 -- '\/etc\/a file\.partial'; mv /);
});

test('Evidence is collected when a scenario fails, however slow the machines are, and said where it is', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	const evidence = path.join(folder, 'evidence');
	const outcome = await play(async ({step}) => {
		await step('no', async () => {
			throw new Error('no');
		});
	}, {evidence, speed: 3.3331});
	t.deepEqual(outcome.lab.evidence, [evidence]);
	t.deepEqual(outcome.events.find((event) => event.type === 'evidence'), {type: 'evidence', scenario: 'story', path: evidence, files: 0});
	const passed = await play(async ({step}) => {
		await step('yes', async () => {});
	}, {evidence});
	t.deepEqual(passed.lab.evidence, []);
});

test('The frames that are kept are those of the step that failed', async (t) => {
	await withTemporaryFolder(async (evidence) => {
		let began = 0;
		let failed = 0;
		const {lab} = await play(async ({step}) => {
			await step('yes', async () => {
				await until('the clock goes on', later(Date.now() + 20), {deadline: 5000, interval: 5});
			});
			began = Date.now();
			await step('no', async () => {
				await step('within', async () => {
					await until('the clock goes on', later(Date.now() + 20), {deadline: 5000, interval: 5});
					failed = Date.now();
					throw new Error('no');
				});
			});
		}, {evidence});
		const [{since = 0, until: end = 0} = {}] = lab.spans;
		t.true(since >= began && since <= failed - 10, 'the outermost step');
		t.true(end >= failed);
	});
	await withTemporaryFolder(async (evidence) => {
		const {lab} = await play(async () => {
			throw new Error('before any step');
		}, {evidence});
		t.deepEqual(Object.keys(lab.spans[0]!), ['until']);
	});
});

test('Ctrl-C while evidence is collected shortens that, and the failure is told', async (t) => {
	t.timeout(60_000);
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	const interruption = new AbortController();
	const lab = {
		...createFakeLab(undefined, 100),
		async collectEvidence(_folder: string, signal?: AbortSignal) {
			interruption.abort(failure.interrupted('SIGINT'));
			await hang(signal);
		},
	};
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', steps: async ({step}) => step('no', async () => {
		throw new Error('no');
	})});
	await t.throwsAsync(runScenario({name: 'story', scenario, lab, events() {}, signal: interruption.signal, evidence: folder}), {message: 'no: no'});
});

test('Evidence that cannot be had does not hide the failure', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	const lab = {
		...createFakeLab(),
		async collectEvidence() {
			throw new Error('the machine is gone');
		},
	};
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', steps: async ({step}) => step('no', async () => {
		throw new Error('no');
	})});
	await t.throwsAsync(runScenario({name: 'story', scenario, lab, events() {}, signal: new AbortController().signal, evidence: folder}), {message: 'no: no'});
	t.is(await readFile(path.join(folder, 'machines-missing.txt'), 'utf8'), 'the machine is gone\n');
});

const foreign = {payload: 'arp', machine: 'node-2', at: 0, summary: 'ARP: who has 192.168.1.1, asks 192.168.1.2', bytes: 'ffff'} as const;
const none = {ipv4: 0, arp: 0, ipv6: 0, other: 0};

test('A frame that its network does not carry fails the step in which it was seen, and one from the boot the first', async (t) => {
	for (const [at, when] of [[0, /before the scenario began/], [Date.now() + 1_000_000, /while the scenario ran/]] as const) {
		const lab = {...createFakeLab(), traffic: async () => [{network: 'cluster', frames: {...none, arp: 1}, foreign: {...foreign, at}}]};
		const {sink, lines} = recordEvents();
		const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', steps: async ({step}) => step('yes', async () => {})});
		const error = await t.throwsAsync<LabError>(runScenario({name: 'story', scenario, lab, events: sink, signal: new AbortController().signal}));
		t.is(error.exitCode, 1);
		t.regex(error.message, /^yes: The network cluster is for ipv4 alone, and node-2 has sent .*who has 192\.168\.1\.1/);
		t.regex(error.message, when);
		t.deepEqual(lines().slice(-2), ['step failed yes', 'scenario failed']);
	}
});

test('A frame that its network does not carry is told with a step that failed, and ends a scenario whose last step is a control', async (t) => {
	const lab = {...createFakeLab(), traffic: async () => [{network: 'cluster', frames: {...none, arp: 1}, foreign}]};
	const fails = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', steps: async ({step}) => step('outer', async () => step('inner', async () => {
		throw new Error('no answer');
	}))});
	const failed = await t.throwsAsync<LabError>(runScenario({name: 'story', scenario: fails, lab, events() {}, signal: new AbortController().signal}), {message: 'inner: no answer'});
	t.is(failed.details.filter((line) => line.includes('who has 192.168.1.1')).length, 1, failed.details.join('\n'));
	const refuted = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', async steps(context) {
		await context.refuted('control: no', async () => {
			throw new Error('no');
		});
	}});
	await t.throwsAsync(runScenario({name: 'story', scenario: refuted, lab, events() {}, signal: new AbortController().signal}), {message: /who has 192\.168\.1\.1/});
});

test('Steps see what a network has carried, and a wrong name is told with the right ones', async (t) => {
	const lab = {...createFakeLab(), traffic: async () => [{network: 'cluster', frames: {...none, ipv4: 7}}]};
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '10s', steps: async ({step, fabric}) => {
		await step('the cluster has been busy', async () => {
			t.is((await fabric.traffic('cluster')).frames.ipv4, 7);
		});
		await step('and clutser has not', async () => {
			await fabric.traffic('clutser');
		});
	}});
	await t.throwsAsync(runScenario({name: 'story', scenario, lab, events() {}, signal: new AbortController().signal}), {message: 'The lab has no network `clutser`'});
});
