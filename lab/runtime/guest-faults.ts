/** Faults that are made from inside of a machine: shell commands, each of which does all of it or nothing. */
import {quoteWord} from '../machine/quoting.ts';
import type {MachineFaults} from '../spec/fault.ts';

type Fill = NonNullable<MachineFaults['fill']>;
type Memory = NonNullable<MachineFaults['memory']>;

/** The file that fills a filesystem. */
function fillFile(path: string): string {
	return quoteWord(`${path.replace(/\/+$/, '')}/.vmlab-fill`);
}

/**
 * Fills a filesystem. Most of it is only allocated (fallocate(1)), so that it is quick and takes no room on this computer; what the filesystem needs for itself is not known
 * beforehand, so the rest is written. On a machine's disk nothing is kept for root (mke2fs(8), `-m 0`), and what the kernel keeps for itself is nobody's, so that what is available is what can be written.
 */
export function fillCommand({path, leave}: Fill): string {
	const [file, folder] = [fillFile(path), quoteWord(path)];
	return [
		'umask 077',
		`rm -f -- ${file}`,
		`sync -f -- ${folder}`,
		`free() { echo $(( $(stat -f -c '%a * %S' -- ${folder}) )); }`,
		`room=$(( $(free) - ${leave} ))`,
		`[ "$room" -gt 0 ] || { echo "only $(free) bytes are free at "${folder} >&2; exit 1; }`,
		`[ "$room" -le 1048576 ] || fallocate -l $(( room - 1048576 )) -- ${file} || { rm -f -- ${file}; exit 1; }`,
		`rest=$(( $(free) - ${leave} ))`,
		// It ends where there is no room any more.
		`[ "$rest" -le 0 ] || head -c "$rest" /dev/zero >>${file} 2>/dev/null || true`,
		`sync -f -- ${folder} || true`,
	].join('\n');
}

/** Removes what fills a filesystem. */
export function unfillCommand({path}: Pick<Fill, 'path'>): string {
	return `rm -f -- ${fillFile(path)}`;
}

const memoryFolder = '/run/vmlab-memory';

/** Takes memory: a file in a filesystem that is in memory, which machines, having no swap, cannot put elsewhere. What is not available is refused, before the kernel ends processes for it. */
export function takeMemoryCommand(memory: Memory): string {
	const kibibytes = 'bytes' in memory ? String(Math.ceil(memory.bytes / 1024)) : `$(awk '/^MemTotal:/ {printf "%d", $2 * ${memory.share}}' /proc/meminfo)`;
	return [
		'umask 077',
		`wanted=${kibibytes}`,
		'available=$(awk \'/^MemAvailable:/ {print $2}\' /proc/meminfo)',
		'[ "$wanted" -lt "$available" ] || { echo "$((wanted / 1024)) MiB are wanted, and $((available / 1024)) MiB are available" >&2; exit 1; }',
		`mkdir -p ${memoryFolder}`,
		`mount -t tmpfs -o size=100%,mode=0700 vmlab-memory ${memoryFolder}`,
		`fallocate -l "\${wanted}KiB" ${memoryFolder}/taken || { umount ${memoryFolder}; rmdir ${memoryFolder}; exit 1; }`,
	].join('\n');
}

/** Gives the memory back. */
export function giveMemoryCommand(): string {
	return `if mountpoint -q ${memoryFolder}; then umount ${memoryFolder}; rmdir ${memoryFolder}; fi`;
}

/** adjtimex(2) on x86-64, and its mode that moves the clock by an offset. */
const adjtimex = {call: 159, setOffset: 0x100};

/**
 * Moves the clock by so many milliseconds, at once and by exactly that: nothing is lost between reading and setting it. To move it back by the same leaves it where it would have
 * been. The clock that a reboot begins with (rtc(4)) stays.
 */
export function moveClockCommand(offset: number): string {
	const seconds = Math.floor(offset / 1000);
	const microseconds = Math.round((offset - seconds * 1000) * 1000);
	// struct timex: modes; offset, freq, maxerror, esterror; status; constant, precision, tolerance; time; and the rest. Microseconds are not negative.
	return `perl -e 'my $t = pack "I x4 q4 i x4 q3 q2 x120", ${adjtimex.setOffset}, (0) x 8, ${seconds}, ${microseconds}; syscall(${adjtimex.call}, $t) != -1 or die "adjtimex: $!\\n"'`;
}
