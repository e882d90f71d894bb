/** The story of three machines that differ in what their kernels have random numbers from at boot. */
import {claim, type LabDeclaration, type MachineHandle, type MutationDeclaration, type StepContext} from 'vmlab';
import {bootDone, claimAtOnce, claimWaited, readFirstKey, tellFirstKey} from './first-key.ts';
import {reboot} from './reboot.ts';

/** Their lab. */
export function entropyLab(image: string): LabDeclaration {
	return {
		image,
		machines: {
			usual: {count: 1, memory: '256MiB'},
			device: {count: 1, memory: '256MiB', entropy: ['virtio-rng']},
			starved: {count: 1, memory: '256MiB', entropy: []},
		},
		overlays: ['base', 'first-key'],
	};
}

/** The step that a seed turns red. */
const waitsAgain = 'starved-1 waits once more when it is rebooted';

/** What makes it red: systemd-random-seed(8), which is off in labs, as it is on computers that keep their seed over a boot. */
export const seedOnDisk: MutationDeclaration = {
	summary: 'starved-1 keeps a seed of random numbers on its disk, which its kernel is told to count at the next boot',
	red: waitsAgain,
	because: /the kernel of starved-1 had random numbers at [\d.]+ s, before the first key was asked for at/,
	before: waitsAgain,
	async apply({machine}) {
		const starved = machine('starved-1');
		await starved.writeFile('/etc/systemd/system/vmlab-first-key.service.d/seed.conf', [
			'[Service]', 'Environment=SYSTEMD_RANDOM_SEED_CREDIT=force', 'ExecStartPre=/usr/lib/systemd/systemd-random-seed load', '',
		].join('\n'));
		await starved.$`/usr/lib/systemd/systemd-random-seed save; sync`;
	},
};

/** Where the machines may have random numbers from, as they see it: the device in use, the processor's instructions, and what the kernel was told to count. */
async function sourcesOf(machine: MachineHandle): Promise<string> {
	const {stdout} = await machine.$`
		cat /sys/class/misc/hw_random/rng_current
		sed -n '/^flags/{p;q}' /proc/cpuinfo | tr ' ' '\n' | sed -n 's/^rdrand$/RDRAND/p; s/^rdseed$/RDSEED/p' | head -n 1
		for word in trust_cpu trust_bootloader; do tr ' ' '\n' </proc/cmdline | sed -n "s/^random[.]$word=/$word=/p" | tail -n 1; done`;
	return stdout.split('\n').join(', ');
}

/** Reboots a machine, waits until that boot is done, and claims that its first key is made anew. */
async function rebootForKey(context: StepContext, machine: MachineHandle): Promise<void> {
	await reboot([machine]);
	await context.eventually(`${machine.name} has finished its boot`, async () => bootDone(machine), {deadline: '60s'});
	await machine.$`systemctl is-active vmlab-first-key.service`;
}

/** All steps. */
export async function firstKeys(context: StepContext): Promise<void> {
	const {machine, step, note} = context;
	const [usual, device, starved] = ['usual-1', 'device-1', 'starved-1'].map((name) => machine(name)) as [MachineHandle, MachineHandle, MachineHandle];

	await step('each machine sees the sources of random numbers that it was declared with, and no others', async () => {
		const wanted = new Map([
			[usual, 'virtio_rng.0, RDRAND, trust_cpu=on'],
			[device, 'virtio_rng.0, trust_cpu=off, trust_bootloader=off'],
			[starved, 'none, trust_cpu=off, trust_bootloader=off'],
		]);
		for (const [each, sources] of wanted) {
			const seen = await sourcesOf(each);
			claim(seen === sources, `${each.name} sees \`${seen}\`, and should see \`${sources}\``);
		}
	});

	const keys = await step('each machine has made its first key, and no two are the same', async () => {
		const made = await Promise.all([usual, device, starved].map(async (each) => (await each.$`openssl pkey -in /run/first-key/key.pem -check -pubout 2>&1`).stdout));
		const bad = made.find((text) => !/^Key is valid$/m.test(text));
		claim(bad === undefined, 'openssl does not take a key that it made for one', [bad ?? '']);
		claim(new Set(made).size === made.length, 'two machines have made the same key', made);
		return Promise.all([usual, device, starved].map(readFirstKey));
	});
	const [withAll, withDevice, without] = keys as [typeof keys[0], typeof keys[0], typeof keys[0]];
	for (const key of keys) {
		note(tellFirstKey(key));
	}

	await step('with all sources the kernel has random numbers before its first process', async () => {
		claim(withAll.seeded < withAll.userSpace, `the kernel of usual-1 had random numbers at ${withAll.seeded} s, and its first process began at ${withAll.userSpace} s`);
		claimAtOnce(withAll);
	});
	await step('with virtio-rng alone it has them before the first program asks', async () => {
		claimAtOnce(withDevice);
	});
	await step('without any it has none when the first program asks, and getrandom(2) waits until it has made some', async () => {
		claimWaited(without);
	});
	await step('control: openssl did not wait for random numbers on the machines that have sources', async () => {
		for (const {machine: name, waited} of [withAll, withDevice]) {
			claim(waited < without.waited / 2, `openssl on ${name} waited ${waited} s for random numbers, and ${without.waited} s on ${without.machine}, which has no source of them`);
		}
	});

	await step(waitsAgain, async () => {
		await rebootForKey(context, starved);
		const again = await readFirstKey(starved);
		claimWaited(again);
		note(`After a reboot ${tellFirstKey(again)}`);
	});
	await step('control: device-1 does not, and has random numbers at once again', async () => {
		await rebootForKey(context, device);
		const again = await readFirstKey(device);
		claimAtOnce(again);
		note(`After a reboot ${tellFirstKey(again)}`);
	});
}
