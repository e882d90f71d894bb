/**
 * A disk that hangs: each read and write waits until it hangs no more, and is done then. QEMU has no command for that, and its throttle comes to the same: at a
 * byte in a second the next request waits for as many seconds as the one before it had bytes. The first would pass, since nothing went before it;
 * so a read of our own is sent ahead, a mebibyte, and all that comes after waits for twelve days. What the machine has sent at that very moment
 * goes before it, and counts as sent before.
 *
 * When the machine is stopped for good (`quit`, `stop`) QEMU first finishes what waits, so that nothing hangs because of it.
 * Sources: "QEMU QMP Reference Manual", `block_set_io_throttle`; docs/throttle.txt in QEMU, which describes the leaky bucket.
 */
import {failure} from '../host/failure.ts';
import {diskDevice} from './arguments.ts';
import type {Qmp} from './qmp.ts';

const noLimits = {bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0};

/**
 * From now on the machine's disk hangs.
 *
 * @throws `monitor-lost`, `monitor-refused`; then it does not
 */
export async function hangDisk(qmp: Pick<Qmp, 'execute'>, machine: string): Promise<void> {
	await qmp.execute('block_set_io_throttle', {...noLimits, id: diskDevice, group: 'hang', bps: 1});
	try {
		// Not waited for by QEMU's monitor (`aio_read`), nor told (`-q`). It answers with what went wrong, and nothing else.
		const said = await qmp.execute('human-monitor-command', {'command-line': `qemu-io -d ${diskDevice} "aio_read -q 0 1M"`});
		if (typeof said === 'string' && said.trim() !== '') {
			throw failure.monitorRefused(machine, 'qemu-io', said.trim(), 'GenericError');
		}
	} catch (error) {
		await unhangDisk(qmp).catch(() => {});
		throw error;
	}
}

/** Lets all that has waited be done. Throws `monitor-lost`, `monitor-refused`. */
export async function unhangDisk(qmp: Pick<Qmp, 'execute'>): Promise<void> {
	await qmp.execute('block_set_io_throttle', {...noLimits, id: diskDevice});
}
