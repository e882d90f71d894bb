/** The prompt of `vmlab run --break`: commands on the machines of a lab whose scenario has just failed. */
import {createInterface} from 'node:readline';
import type {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {say} from './output.ts';
import type {ScenarioLab} from '../scenario/scenario-lab.ts';

/** Refuses to stop for a prompt where there is no terminal for it: before anything is built. Throws `usage`. */
export function checkTerminal(): void {
	if (!process.stdin.isTTY) {
		throw failure.usage('--break needs a terminal for its prompt', 'Leave the lab up with --keep, and look into it with `vmlab exec`.');
	}
}

/** Reads `MACHINE COMMAND` lines until Ctrl-D, `exit` or an abort. There is a terminal. */
export async function promptInLab(lab: ScenarioLab, error: LabError, signal: AbortSignal): Promise<void> {
	const names = lab.plan.topology.machines.map(({name}) => name);
	say(`\n${error.message}\nThe lab ${lab.name} is alive. MACHINE COMMAND runs a command, \`exit\` ends the run, and without --keep the lab. Machines: ${names.join(', ')}.`);
	const prompt = createInterface({
		input: process.stdin, output: process.stderr, prompt: `${lab.name}> `, signal,
		completer: (line: string) => [names.filter((name) => name.startsWith(line)), line],
	});
	// At a prompt the terminal sends no signal of its own.
	prompt.on('SIGINT', () => {
		process.kill(process.pid, 'SIGINT');
	});
	prompt.prompt();
	// Ctrl-D closes the prompt, an abort does too.
	for await (const line of prompt) {
		if (line.trim() === 'exit') {
			break;
		}

		if (line.trim() !== '') {
			await runLine(lab, names, line.trim(), signal);
		}

		prompt.prompt();
	}

	prompt.close();
}

async function runLine(lab: ScenarioLab, names: readonly string[], line: string, signal: AbortSignal): Promise<void> {
	const [, machine = '', command = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
	if (!names.includes(machine) || command === '') {
		say(`MACHINE COMMAND, with one of ${names.join(', ')}; or exit.`);
		return;
	}

	try {
		const connection = await lab.ssh(machine, signal);
		try {
			const {stdout, stderr, exitCode} = await connection.exec(command, {signal});
			process.stderr.write(`${stdout}${stderr}${exitCode === 0 ? '' : `(exit code ${exitCode})\n`}`);
		} finally {
			await connection.close();
		}
	} catch (error) {
		say(error instanceof Error ? error.message : String(error));
	}
}
