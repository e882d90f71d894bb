/** Machines that start again. */
import {claim, type MachineHandle} from 'vmlab';

/** Which boot of a machine this is. */
async function bootOf({$}: MachineHandle): Promise<string> {
	return (await $`cat /proc/sys/kernel/random/boot_id`).stdout;
}

/** Reboots machines, all at once, and returns when each is ready, as its overlays say, in another boot. */
export async function reboot(machines: readonly MachineHandle[]): Promise<void> {
	await Promise.all(machines.map(async (machine) => {
		const before = await bootOf(machine);
		await machine.reboot();
		await machine.ready();
		claim(await bootOf(machine) !== before, `${machine.name} is in the boot that it was in`);
	}));
}
