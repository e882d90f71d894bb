/** Machines that start again. */
import {claim, type MachineHandle, type StepContext} from 'vmlab';

/** Reboots machines, all at once, and returns when each answers as another boot. */
export async function reboot({eventually}: StepContext, machines: readonly MachineHandle[]): Promise<void> {
	const bootOf = async ({$}: MachineHandle): Promise<string> => (await $`cat /proc/sys/kernel/random/boot_id`).stdout;
	const before = await Promise.all(machines.map(bootOf));
	// The command may not live to see its own end.
	await Promise.all(machines.map(async ({$}) => $`systemctl reboot`.catch(() => {})));
	await Promise.all(machines.map(async (machine, index) => eventually(`${machine.name} has booted again`, async () => {
		claim(await bootOf(machine) !== before[index], 'it has not gone down yet');
	}, {deadline: '60s', interval: '2s'})));
}
