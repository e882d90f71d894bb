/** `vmlab cp`: files and folders to and from a machine. */
import {constants} from 'node:fs';
import {access} from 'node:fs/promises';
import {failure} from '../host/failure.ts';
import {chooseRemote, parseRemote, withConnection} from './lab-choice.ts';
import {say} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('from', {type: 'string', demandOption: true, describe: 'A path, or [lab/]machine:path'})
		.positional('to', {type: 'string', demandOption: true, describe: 'The same; one of the two is on a machine'}),
	async run({from, to}, {signal}) {
		const [source, target] = [parseRemote(from), parseRemote(to)];
		const remote = source ?? target;
		if (remote === undefined || (source !== undefined && target !== undefined)) {
			throw failure.usage('Exactly one of the two must be on a machine', 'Write it as machine:path, or lab/machine:path.');
		}

		if (source === undefined) {
			await access(from, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
				throw failure.usage(`${from} cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.code ?? error.message}`);
			});
		}

		const {lab, machine} = await chooseRemote(remote);
		await withConnection(lab, machine.name, signal, async (connection) => {
			const files = source === undefined ? await connection.upload(from, remote.path, {signal}) : await connection.download(remote.path, to, {signal});
			say(`${files} ${files === 1 ? 'file' : 'files'} copied`);
		});
	},
});
