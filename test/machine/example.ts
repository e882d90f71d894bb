/** A machine specification for tests. */
import type {MachineSpecification} from '../../lab/machine/specification.ts';

/** A small machine; paths are relative to the folder that it is started in. */
export function exampleMachine(changes: Partial<MachineSpecification> = {}): MachineSpecification {
	return {
		lab: 'ipv4',
		name: 'node-1',
		accelerator: 'tcg',
		cpus: 2,
		memory: 512 * 1024 ** 2,
		memoryFile: 'memory',
		kernel: 'vmlinuz',
		initramfs: 'initramfs',
		append: ['console=ttyS0', 'quiet'],
		layers: [],
		disk: 'disk.qcow2',
		links: [],
		maintenance: {mac: '52:54:00:00:00:01', forwards: [], egress: false},
		qmpSocket: 'qmp.sock',
		consoleLog: 'console.log',
		consoleSocket: 'console.sock',
		forkSocket: 'fork.sock',
		log: 'qemu.log',
		...changes,
	};
}
