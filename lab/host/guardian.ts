/**
 * Ends what we started when we cannot do it ourselves any more. The kernel kills only our direct children with us (prctl(2)
 * PR_SET_PDEATHSIG), not theirs; so after a `kill -9` a build would go on. A small process beside us knows the process
 * groups that run, notices our end by that of its standard input, and kills them.
 */
import {type ChildProcess, spawn} from 'node:child_process';

const script = `
groups=' '
while read -r action group; do
	case $action in
	guard) groups="$groups$group " ;;
	release) groups="\${groups%% $group *} \${groups#* $group }" ;;
	esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
`;

let guardian: ChildProcess | undefined;

/** The guardian, from when the first program is started on; it keeps nobody waiting. */
function ensureGuardian(): ChildProcess {
	if (guardian === undefined) {
		// A session of its own: Ctrl-C is for us.
		guardian = spawn('sh', ['-c', script], {stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/'});
		// Without it we are where we were: what we end properly needs no guardian.
		guardian.on('error', () => {});
		guardian.stdin?.on('error', () => {});
		guardian.unref();
		(guardian.stdin as {unref?: () => void} | null)?.unref?.();
	}

	return guardian;
}

/** From now on the process group ends with us, however we end. */
export function guardGroup(pid: number): void {
	ensureGuardian().stdin?.write(`guard ${pid}\n`);
}

/** The process group has ended: its id may become somebody else's. Only for groups that are guarded. */
export function releaseGroup(pid: number): void {
	guardian?.stdin?.write(`release ${pid}\n`);
}
