/** Machines as steps see them: commands over an ssh connection that is kept open. */
import {LabError, type SourcePlace} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {graceAfter, timeLimit} from '../host/wait.ts';
import {quoteCommand, quoteWord, writeCommand} from '../machine/quoting.ts';
import type {MachineChange} from '../runtime/machine-change.ts';
import {noFaults, parseFill, parseMemory, parseSkew} from '../spec/fault.ts';
import type {LabMachine} from '../spec/topology.ts';
import {commandSignal, waitIsOver} from './command-scope.ts';
import {lastLines} from './output.ts';
import {callPlace} from './place.ts';
import type {CommandResult, CommandTag, MachineHandle} from './scenario.ts';
import type {ScenarioConnection, ScenarioLab} from './scenario-lab.ts';
import {openStepScope, type StepScope} from './step-scope.ts';

/** All machines of a lab, each with one connection: opened by its first command, opened anew after it broke. */
export interface Machines {
	/** @throws `unknown-machine`, naming the known */
	handle(name: string): MachineHandle;
	/** Closes all connections. */
	close(): Promise<void>;
}

/** Stops at the first command that fails, also in a pipe, and at a variable that is not set. */
const strict = 'set -euo pipefail; ';

/** Milliseconds for putting a machine back where nobody waits for it to be ready: after Ctrl-C somebody waits for the end, and a step that failed is not to be told late. */
const putBackLimit = {ended: 10_000, failed: 30_000};

/** A change of a machine, which is named elsewhere. */
type OwnChange = MachineChange extends infer Change ? Change extends MachineChange ? Omit<Change, 'machine'> : never : never;

/** Without the newline that a command's last line has, as `$(...)` of a shell gives it. */
function trimmed({stdout, stderr, exitCode}: CommandResult): CommandResult {
	return {stdout: stdout.replace(/\n$/, ''), stderr: stderr.replace(/\n$/, ''), exitCode};
}

/** The machines of a lab. Commands end when `signal` aborts. What is done to machines holds as long as the scope says. */
export function openMachines(lab: ScenarioLab, signal: AbortSignal, scope: StepScope = openStepScope(signal)): Machines {
	const connections = new Map<string, Promise<ScenarioConnection>>();
	const handles = new Map<string, MachineHandle>();

	async function connect(name: string): Promise<ScenarioConnection> {
		const known = connections.get(name);
		if (known !== undefined) {
			return known;
		}

		const connecting = lab.ssh(name, signal);
		connections.set(name, connecting);
		try {
			const connection = await connecting;
			// The next command gets another one.
			void connection.closed?.then(async () => forget(name, connection));
			return connection;
		} catch (error) {
			connections.delete(name);
			throw error;
		}
	}

	/** Closes a connection, unless it is closed already. */
	async function forget(name: string, connection: ScenarioConnection): Promise<void> {
		// Where the next one could not be made, whoever wants it is told.
		if (await connections.get(name)?.catch(() => {}) === connection) {
			connections.delete(name);
			await Promise.resolve(connection.close()).catch(() => {});
		}
	}

	/** Refuses what would wait for a machine that does nothing. */
	async function refuseStandstill(name: string): Promise<void> {
		const state = (await lab.machineReports()).find(({machine}) => machine === name)?.state;
		if (state === 'off' || state === 'paused') {
			throw failure.machineStandsStill(name, state);
		}
	}

	/** Changes what is wrong with a machine, for as long as the step around lasts. */
	async function change(name: string, wanted: OwnChange): Promise<void> {
		await scope.change(`machine ${name}`, async (remember) => {
			const faults = (await lab.machineReports()).find(({machine}) => machine === name)?.faults ?? noFaults;
			// Before it is changed: also what is done by half is put back.
			remember(async (end) => {
				await lab.changeMachine({kind: 'put', machine: name, faults}, end === 'passed' ? graceAfter(signal, putBackLimit.ended) : timeLimit(putBackLimit[end]));
				if (end === 'passed' && faults.power !== 'off' && faults.paused !== true) {
					await lab.machineReady(name, signal);
				}
			});
			await lab.changeMachine({...wanted, machine: name} as MachineChange, signal);
		});
		if (wanted.kind === 'reset' || wanted.kind === 'reboot' || wanted.kind === 'kill') {
			// Nobody at the other end knows of it any more.
			await drop(name);
		}
	}

	/** Closes the connection to a machine, where there is one. */
	async function drop(name: string): Promise<void> {
		const connection = await connections.get(name)?.catch(() => {});
		if (connection !== undefined) {
			await forget(name, connection);
		}
	}

	async function execute(machine: LabMachine, command: string, input?: string): Promise<CommandResult> {
		await refuseStandstill(machine.name);
		const connection = await connect(machine.name).catch((error: unknown) => {
			throw broken(machine.name, error);
		});
		try {
			const {stdout, stderr, exitCode} = await connection.exec(strict + command, {signal: commandSignal(signal), ...(input === undefined ? {} : {input})});
			return {stdout, stderr, exitCode};
		} catch (error) {
			if (waitIsOver(signal)) {
				throw failure.commandCutShort(command, machine.name);
			}

			// What broke this connection may have passed by the next command, which gets a new one.
			await forget(machine.name, connection);
			throw broken(machine.name, error);
		}
	}

	function broken(name: string, error: unknown): LabError {
		signal.throwIfAborted();
		return error instanceof LabError ? error : failure.machineBroke(name, error instanceof Error ? error.message : String(error), error);
	}

	function createHandle(machine: LabMachine): MachineHandle {
		const {name} = machine;
		const must = async (command: string, place: SourcePlace | undefined, input?: string): Promise<CommandResult> => {
			const result = await execute(machine, command, input);
			if (result.exitCode !== 0) {
				throw failure.commandFailed(command, name, `ended with exit code ${result.exitCode}`, lastLines(result), place);
			}

			return result;
		};

		const $: CommandTag = async (pieces, ...values) => trimmed(await must(quoteCommand(pieces, values), callPlace()));
		return {
			name,
			machine,
			$,
			try$: async (pieces, ...values) => trimmed(await execute(machine, quoteCommand(pieces, values))),
			async fail$(pieces, ...values) {
				const place = callPlace();
				const command = quoteCommand(pieces, values);
				const result = await execute(machine, command);
				if (result.exitCode === 0) {
					throw failure.commandFailed(command, name, 'succeeded, and must not', lastLines(result), place);
				}

				return trimmed(result);
			},
			async readFile(path) {
				return (await must(`cat -- ${quoteWord(path)}`, callPlace())).stdout;
			},
			async writeFile(path, text, mode = 0o644) {
				await must(writeCommand(path, mode), callPlace(), text);
			},
			pause: async () => change(name, {kind: 'pause'}),
			resume: async () => change(name, {kind: 'resume'}),
			reboot: async () => change(name, {kind: 'reboot'}),
			reset: async () => change(name, {kind: 'reset'}),
			kill: async () => change(name, {kind: 'kill'}),
			async start() {
				await change(name, {kind: 'start'});
				await lab.machineReady(name, commandSignal(signal));
			},
			ready: async () => lab.machineReady(name, commandSignal(signal)),
			hangDisk: async () => change(name, {kind: 'hang-disk'}),
			fillDisk: async (fill = {}) => change(name, {kind: 'fill-disk', fill: parseFill(fill)}),
			skewClock: async (skew) => change(name, {kind: 'skew-clock', skew: parseSkew(skew)}),
			takeMemory: async (amount) => change(name, {kind: 'take-memory', memory: parseMemory(amount)}),
			recover: async () => change(name, {kind: 'recover'}),
		};
	}

	return {
		handle(name) {
			const known = handles.get(name);
			if (known !== undefined) {
				return known;
			}

			const {machines} = lab.plan.topology;
			const machine = machines.find((candidate) => candidate.name === name);
			if (machine === undefined) {
				throw failure.unknownName('machine', name, machines.map((candidate) => candidate.name), callPlace());
			}

			const handle = createHandle(machine);
			handles.set(name, handle);
			return handle;
		},
		async close() {
			const open = [...connections.values()];
			connections.clear();
			await Promise.allSettled(open.map(async (connecting) => (await connecting).close()));
		},
	};
}
