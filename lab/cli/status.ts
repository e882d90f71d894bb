/** `vmlab status`: one lab, its machines, and how the host reaches it. */
import {timeLimit} from '../host/wait.ts';
import {readLinks} from '../runtime/lab-links.ts';
import {readLab, statusOf} from '../runtime/labs.ts';
import {faultsBeyond} from '../spec/fault.ts';
import {chooseLab} from './lab-choice.ts';
import {formatTable, print} from './output.ts';
import {defineVerb, type OutputFormat} from './verb.ts';

/** Milliseconds that a lab has to tell of its links. All else is known without it. */
const answerDeadline = 3000;

/** Prints a lab's status. */
export async function showStatus(name: string, output: OutputFormat, signal: AbortSignal): Promise<void> {
	const record = await readLab(name);
	const links = await readLinks(name, AbortSignal.any([signal, timeLimit(answerDeadline)])).catch(() => []);
	signal.throwIfAborted();
	await print(output, statusOf(record, links), (status) => [
		`${status.name}: ${status.state}${status.scenario === null ? '' : `, scenario ${status.scenario}`}, supervisor ${status.supervisor.pid}\n`,
		formatTable({
			columns: ['MACHINE', 'ROLE', 'STATE', 'PID', 'SSH', 'ADDRESSES'],
			rows: status.machines.map(({name: machine, role, state, faults, pid, ssh, addresses}) => [machine, role, [state, ...faultsBeyond(state, faults)].join(', '), String(pid ?? ''), `${ssh.user}@${ssh.host}:${ssh.port}`, addresses.join(' ')]),
		}),
		formatTable({columns: ['FORWARD', 'MACHINE', 'PORT', 'HOST'], rows: status.forwards.map(({name: forward, machine, port, hostPort}) => [forward, machine, String(port), `127.0.0.1:${hostPort}`])}),
		formatTable({columns: ['LINK', 'FAULTS'], rows: status.links.filter(({faults}) => faults.length > 0).map(({name: link, faults}) => [link, faults.join('; ')])}),
	].join(''));
}

export const verb = defineVerb({
	options: (command) => command.positional('lab', {type: 'string', describe: 'Default: the only one that runs'}),
	async run({lab}, {output, signal}) {
		await showStatus((await chooseLab(lab)).name, output, signal);
	},
});
