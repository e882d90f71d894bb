/** Machines that start again. */
import {claim, type MachineHandle, type StepContext} from 'vmlab';

/** Which boot of a machine this is. Rejects with an ordinary error where nobody answers: of one that reboots that is expected, where else a wait ends with it. */
async function bootOf({$, name}: MachineHandle): Promise<string> {
	const {stdout} = await $`cat /proc/sys/kernel/random/boot_id`.catch((error: unknown) => {
		throw new Error(`${name} does not answer: ${error instanceof Error ? error.message : String(error)}`);
	});
	return stdout;
}

/** Reboots machines, all at once, and returns when each answers as another boot and is ready, as its overlays say. */
export async function reboot({eventually}: StepContext, machines: readonly MachineHandle[]): Promise<void> {
	const before = await Promise.all(machines.map(bootOf));
	// The command may not live to see its own end.
	await Promise.all(machines.map(async ({try$}) => try$`systemctl reboot`.catch(() => {})));
	await Promise.all(machines.map(async (machine, index) => eventually(`${machine.name} has booted again`, async () => {
		claim(await bootOf(machine) !== before[index], `${machine.name} has not gone down yet`);
	}, {deadline: '30s', interval: '2s'})));
	await Promise.all(machines.map(async ({ready}) => ready()));
}
