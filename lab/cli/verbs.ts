/** The table of verbs, in the order of the help. */
import type {VerbEntry} from './verb.ts';

/** All verbs, in the order of the help. A verb's own module is loaded when it is called. */
export const verbs: readonly VerbEntry[] = [
	{command: 'start [scenario]', summary: 'Install what is missing, then run a scenario: what `npm start` does', load: async () => import('./start.ts')},
	{command: 'doctor [scenario]', summary: 'Check this computer, all problems at once', load: async () => import('./doctor.ts')},
	{command: 'plan <scenario>', summary: 'Show the chain of stages and what is cached, or a picture of the lab', bareOptions: {graph: 'mermaid'}, load: async () => import('./plan.ts')},
	{command: 'build <scenarios..>', summary: 'Make everything up to the boot', load: async () => import('./build.ts')},
	{command: 'up <scenario>', summary: 'Boot the lab of a scenario, without its steps', load: async () => import('./up.ts')},
	{command: 'down [labs..]', summary: 'End labs', load: async () => import('./down.ts')},
	{command: 'list', summary: 'List the labs that run, or the scenarios there are', load: async () => import('./list.ts')},
	{command: 'status [lab]', summary: 'Show one lab', load: async () => import('./status.ts')},
	{command: 'run [scenarios..]', summary: 'Build, boot, run the steps, report', load: async () => import('./run.ts')},
	{command: 'freeze <lab> <name>', summary: 'Keep a lab as it is now, under a name; it goes on', load: async () => import('./freeze.ts')},
	{command: 'fork [name]', summary: 'Start a private running copy of a lab that was kept', load: async () => import('./fork.ts')},
	{command: 'ssh <names..>', summary: 'Open a shell on a machine: [lab] machine', load: async () => import('./ssh.ts')},
	{command: 'exec <names..>', rest: '-- command', summary: 'Run a command on a machine: [lab] machine -- command', load: async () => import('./exec.ts')},
	{command: 'cp <from> <to>', summary: 'Copy a file: machine:path on one side', load: async () => import('./cp.ts')},
	{command: 'logs <names..>', summary: 'Print a machine\'s journal: [lab] machine', load: async () => import('./logs.ts')},
	{command: 'capture [lab]', summary: 'Capture frames of a lab\'s links, as pcapng', load: async () => import('./capture.ts')},
	{command: 'console <names..>', summary: 'Talk to a machine\'s serial console: [lab] machine', load: async () => import('./console.ts')},
	{command: 'link <action> [names..]', summary: 'Links, and what is wrong with them: list, set, clear', load: async () => import('./link.ts')},
	{command: 'machine <action> [names..]', summary: 'Machines, and faults of them: list, pause, kill, hang-disk, recover ...', load: async () => import('./machine.ts')},
	{command: 'kubeconfig [lab]', summary: 'Print a lab\'s kubeconfig, or merge it into yours', load: async () => import('./kubeconfig.ts')},
	{command: 'kubectl [lab]', rest: '-- arguments', summary: 'Run kubectl against a lab: [lab] -- arguments', load: async () => import('./kubectl.ts')},
	{command: 'overlay <action> [name]', summary: 'Overlays: list, show, files', load: async () => import('./overlay.ts')},
	{command: 'image <action> [name]', summary: 'Images: list, show', load: async () => import('./image.ts')},
	{command: 'cache <action> [names..]', summary: 'What was built: list, verify, prune, remove', load: async () => import('./cache.ts')},
	{command: 'init <name>', summary: 'Write an overlay to start from', load: async () => import('./init.ts')},
	{command: 'version', summary: 'Print the version', load: async () => import('./version.ts')},
];

/** The word that calls a verb: the first of what yargs calls a command. */
export function nameOfVerb({command}: Pick<VerbEntry, 'command'>): string {
	return command.split(' ')[0] ?? '';
}

/** How a verb is written, with what comes after `--`. */
export function formOfVerb({command, rest}: Pick<VerbEntry, 'command' | 'rest'>): string {
	return `vmlab ${command}${rest === undefined ? '' : ` ${rest}`}`;
}

/** The words that a command line may begin with. */
export const verbNames: readonly string[] = [...verbs.map(nameOfVerb), 'completion', 'help'];

/** The verb that a word calls, where it calls one. */
export function findVerb(name: string | undefined): VerbEntry | undefined {
	return verbs.find((entry) => nameOfVerb(entry) === name);
}
