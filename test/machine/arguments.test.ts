import test from 'ava';
import {machineArguments, machineMarker} from '../../lab/machine/arguments.ts';
import type {MachineSpecification} from '../../lab/machine/specification.ts';
import {exampleMachine} from './example.ts';

/** The values of an option, in their order. */
function values(option: string, changes: Partial<MachineSpecification> = {}): string[] {
	const args = machineArguments(exampleMachine(changes));
	return args.filter((_, index) => args[index - 1] === option);
}

const mib = 1024 ** 2;

test('nothing is there but what is named, and the process is confined', (t) => {
	const args = machineArguments(exampleMachine());
	t.true(args.includes('-nodefaults'));
	t.true(args.includes('-no-user-config'));
	t.deepEqual(values('-sandbox'), ['on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']);
	t.deepEqual(values('-display'), ['none']);
	t.false(args.includes('-no-reboot'), 'a guest may reboot');
});

test('the process is marked with the lab and the machine', (t) => {
	t.deepEqual(values('-name'), ['ipv4/node-1,debug-threads=on']);
	t.true(machineArguments(exampleMachine()).join(' ').includes(machineMarker({lab: 'ipv4', name: 'node-1'})));
	t.false(machineArguments(exampleMachine({name: 'node-10'})).join(' ').includes(machineMarker({lab: 'ipv4', name: 'node-1'})));
});

test('KVM gives the host\'s processor, TCG the best that it can emulate, with a thread for each', (t) => {
	t.deepEqual([...values('-accel', {accelerator: 'kvm'}), ...values('-cpu', {accelerator: 'kvm'})], ['kvm', 'host']);
	t.deepEqual([...values('-accel'), ...values('-cpu'), ...values('-smp')], ['tcg,thread=multi', 'max,avx2=off,erms=off,fsrm=off', '2']);
});

test('memory is a shared file', (t) => {
	t.deepEqual(values('-m'), ['size=524288K']);
	t.true(values('-object', {memoryFile: '/dev/shm/vmlab-0-ipv4/node-1'}).includes('memory-backend-file,id=ram,mem-path=/dev/shm/vmlab-0-ipv4/node-1,size=536870912,share=on'));
	t.regex(values('-M')[0]!, /^pc,memory-backend=ram/);
});

test('a machine that was frozen maps its memory privately, and waits for the state of its devices', (t) => {
	const changes = {memoryFile: '/cache/stages/a/files/node-1/memory', frozen: true};
	const memory = values('-object', changes).filter((value) => value.includes('id=ram'));
	t.deepEqual(memory, ['memory-backend-file,id=ram,mem-path=/cache/stages/a/files/node-1/memory,size=536870912,share=off']);
	t.deepEqual(values('-incoming', changes), ['defer']);
	t.true(machineArguments(exampleMachine(changes)).includes('-S'));
	// All else is the machine that it was: another one would not take its state.
	const rest = (args: readonly string[]): string[] => args.filter((arg) => !arg.includes('id=ram') && !['-S', '-incoming', 'defer'].includes(arg));
	t.deepEqual(rest(machineArguments(exampleMachine(changes))), rest(machineArguments(exampleMachine())));
});

test('where QEMU can, it opens what was frozen for reading alone, and the machine may write still', (t) => {
	const changes = {memoryFile: 'memory', readOnlyMemory: true};
	const memory = (more: Partial<MachineSpecification>): string[] => values('-object', {...changes, ...more}).filter((value) => value.includes('id=ram'));
	t.deepEqual(memory({frozen: true}), ['memory-backend-file,id=ram,mem-path=memory,size=536870912,share=off,readonly=on,rom=off']);
	t.deepEqual(memory({}), ['memory-backend-file,id=ram,mem-path=memory,size=536870912,share=on'], 'what is to be frozen is written');
});

test('a machine that boots runs at once', (t) => {
	t.false(machineArguments(exampleMachine()).includes('-S'));
	t.deepEqual(values('-incoming'), []);
});

test('nothing in a machine gives memory back, which would make holes in what its siblings run on', (t) => {
	t.false(machineArguments(exampleMachine({frozen: true})).join(' ').includes('balloon'));
});

test('the clock of a machine is its own, so that it goes on from where it was frozen', (t) => {
	t.deepEqual(values('-rtc'), ['base=utc,clock=vm']);
});

test('layers are shared read-only memory of the guest, the lowest first, in a window above the memory', (t) => {
	const layers = [{file: '/store/a/root.erofs', bytes: 600 * mib}, {file: '/store/b/layer.erofs', bytes: 2 * mib}];
	t.deepEqual(values('-object', {layers}).filter((value) => value.includes('id=layer')), [
		'memory-backend-file,id=layer0,mem-path=/store/a/root.erofs,size=629145600,share=on,readonly=on',
		'memory-backend-file,id=layer1,mem-path=/store/b/layer.erofs,size=2097152,share=on,readonly=on',
	]);
	t.deepEqual(values('-device', {layers}).filter((value) => value.startsWith('virtio-pmem')), [
		'virtio-pmem-pci,id=pmem0,memdev=layer0', 'virtio-pmem-pci,id=pmem1,memdev=layer1',
	]);
	const [, maxmem] = /^size=524288K,slots=2,maxmem=(\d+)K$/.exec(values('-m', {layers})[0]!)!;
	t.true(Number(maxmem) * 1024 >= (512 + 602) * mib);
});

test('the disk is a qcow2 whose freed blocks are given back, and which is never flushed', (t) => {
	t.deepEqual(values('-blockdev'), [
		'driver=qcow2,node-name=disk,cache.no-flush=on,discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=disk.qcow2,file.cache.no-flush=on,file.discard=unmap',
	]);
	t.true(values('-device').includes('virtio-blk-pci,id=vda,drive=disk'));
});

test('every machine has a source of entropy', (t) => {
	t.true(values('-object').includes('rng-random,id=entropy,filename=/dev/urandom'));
	t.true(values('-device').includes('virtio-rng-pci,rng=entropy,max-bytes=1024,period=80000'));
});

test('without the device a machine has none, and nothing else is another', (t) => {
	const without = machineArguments(exampleMachine({entropy: ['processor', 'boot']}));
	t.false(without.join(' ').includes('rng'));
	const source = ['rng-random,id=entropy,filename=/dev/urandom', 'virtio-rng-pci,rng=entropy,max-bytes=1024,period=80000'];
	t.deepEqual(without, machineArguments(exampleMachine()).filter((arg, index, all) => !source.includes(arg) && !source.includes(all[index + 1] ?? '')));
});

test('without the processor\'s random numbers it has no instructions for them, and the kernel is told not to count any', (t) => {
	const changes = {entropy: ['boot', 'virtio-rng'], append: ['quiet', 'random.trust_cpu=on']} as const;
	t.deepEqual([...values('-cpu', changes), ...values('-cpu', {...changes, accelerator: 'kvm'})], ['max,avx2=off,erms=off,fsrm=off,rdrand=off,rdseed=off', 'host,rdrand=off,rdseed=off']);
	t.deepEqual(values('-append', changes), ['quiet random.trust_cpu=on norandmaps random.trust_cpu=off'], 'the last one holds');
	t.true(values('-device', changes).some((value) => value.startsWith('virtio-rng-pci')));
});

test('without the seed of the boot the kernel is told not to count it', (t) => {
	t.deepEqual(values('-append', {entropy: ['processor', 'virtio-rng']}), ['console=ttyS0 quiet norandmaps random.trust_bootloader=off']);
});

test('a machine without any source keeps the id by which a fork is seen, and the line on which it gets random numbers', (t) => {
	t.true(values('-device', {entropy: []}).includes('vmgenid'));
	t.true(values('-chardev', {entropy: []}).some((value) => value.startsWith('socket,id=fork')));
	t.deepEqual(machineArguments(exampleMachine({entropy: ['processor', 'boot', 'virtio-rng']})), machineArguments(exampleMachine()), 'all are what there is without a word');
});

test('the maintenance network answers on 127.0.0.1 alone, and leads nowhere', (t) => {
	const maintenance = {mac: '52:54:00:00:00:01', forwards: [{hostPort: 40_022, guestPort: 22}, {hostPort: 18_080, guestPort: 6443}], egress: false};
	t.deepEqual(values('-netdev', {maintenance}), [
		'user,id=maintenance,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:40022-:22,hostfwd=tcp:127.0.0.1:18080-:6443',
	]);
	t.deepEqual(values('-device', {maintenance}).filter((value) => value.startsWith('virtio-net')), [
		'virtio-net-pci,id=nic-maintenance,netdev=maintenance,mac=52:54:00:00:00:01,romfile=,guest_announce=off,ctrl_vlan=off',
	]);
});

test('a lab that asks for egress gets it', (t) => {
	t.deepEqual(values('-netdev', {maintenance: {mac: '52:54:00:00:00:01', forwards: [], egress: true}}), ['user,id=maintenance,ipv6=off,restrict=off']);
});

test('each link is a NIC on a socket of the fabric', (t) => {
	const links = [{mac: '02:00:00:00:01:01', socket: '../cluster-node-1.sock'}, {mac: '02:00:00:00:02:01', socket: '../external-node-1.sock'}];
	t.deepEqual(values('-netdev', {links}).slice(1), [
		'stream,id=link0,server=off,addr.type=unix,addr.path=../cluster-node-1.sock',
		'stream,id=link1,server=off,addr.type=unix,addr.path=../external-node-1.sock',
	]);
	t.deepEqual(values('-device', {links}).filter((value) => value.includes('netdev=link')), [
		'virtio-net-pci,id=nic-link0,netdev=link0,mac=02:00:00:00:01:01,romfile=,guest_announce=off,ctrl_vlan=off',
		'virtio-net-pci,id=nic-link1,netdev=link1,mac=02:00:00:00:02:01,romfile=,guest_announce=off,ctrl_vlan=off',
	]);
});

test('console, monitor and the line to a fork are sockets that do not wait, and the console has a log', (t) => {
	t.deepEqual(values('-chardev'), [
		'socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on',
		'socket,id=fork,path=fork.sock,server=on,wait=off',
		'socket,id=monitor,path=qmp.sock,server=on,wait=off',
	]);
	t.deepEqual([...values('-serial'), ...values('-mon')], ['chardev:console', 'chardev:fork', 'chardev=monitor,mode=control']);
});

test('kernel, initramfs and arguments are given as they are', (t) => {
	const odd = {accelerator: 'kvm' as const, kernel: '/a,b/vmlinuz', initramfs: '/a,b/initramfs', append: ['vmlab.layers=2', 'systemd.mask=a,b']};
	t.deepEqual([...values('-kernel', odd), ...values('-initrd', odd), ...values('-append', odd)], ['/a,b/vmlinuz', '/a,b/initramfs', 'vmlab.layers=2 systemd.mask=a,b']);
});

test('programs of an emulated machine are at the same addresses each time', (t) => {
	t.deepEqual([...values('-append'), ...values('-append', {accelerator: 'kvm'})], ['console=ttyS0 quiet norandmaps', 'console=ttyS0 quiet']);
});

test('a comma in a path is doubled wherever QEMU splits at commas', (t) => {
	const odd = exampleMachine({
		memoryFile: 'a,m', disk: 'a,d', qmpSocket: 'a,q', consoleSocket: 'a,c', consoleLog: 'a,l', forkSocket: 'a,f',
		layers: [{file: 'a,,y', bytes: 2 * mib}], links: [{mac: '02:00:00:00:00:01', socket: 'a,s'}],
	});
	const line = machineArguments(odd).join(' ');
	for (const part of ['mem-path=a,,m,size', 'file.filename=a,,d,', 'path=a,,q,', 'path=a,,c,', 'logfile=a,,l,', 'mem-path=a,,,,y,', 'addr.path=a,,s']) {
		t.true(line.includes(part), part);
	}

	t.is(machineMarker({lab: 'a,b', name: 'c'}), '-name a,,b/c,debug-threads=on');
});
