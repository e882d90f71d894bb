/** `vmlab kubectl`: the kubectl that was built for a lab, with the lab's own kubeconfig. */
import path from 'node:path';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import {runAttached} from '../host/program.ts';
import {kubectlOf} from '../runtime/kubectl.ts';
import {readKubeconfig} from './kubeconfig.ts';
import {chooseLab} from './lab-choice.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command.positional('lab', {type: 'string', describe: 'Default: the only one that runs'}),
	async run({lab: name, ...rest}, {signal}) {
		const words = (rest as {'--'?: Array<string | number>})['--']?.map(String) ?? [];
		if (words.length === 0) {
			throw failure.usage('Nothing is asked of kubectl', 'Write it after `--`: vmlab kubectl -- get nodes');
		}

		const lab = await chooseLab(name);
		await readKubeconfig(lab.name);
		return runAttached(kubectlOf(lab), words, {env: {KUBECONFIG: path.join(labFolder(lab.name), 'kubeconfig')}, signal});
	},
});
