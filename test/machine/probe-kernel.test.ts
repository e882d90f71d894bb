import test from 'ava';
import {probeKernel} from '../../lab/machine/probe-kernel.ts';

test('the probe has the header of a Linux kernel', (t) => {
	const kernel = probeKernel();
	t.is(kernel.length, 3 * 512);
	t.is(kernel.readUInt16LE(0x1fe), 0xaa55);
	t.is(kernel.toString('latin1', 0x202, 0x206), 'HdrS');
	t.is(kernel[0x1f1], 1);
	// The jump over the header leads to the code.
	t.is(0x202 + kernel[0x201]!, 0x240);
});

test('the number of calls is in the code, whatever it is', (t) => {
	const number = 0x1234_5678;
	t.is(probeKernel({calls: number}).indexOf(Buffer.from([0x66, 0xb9, 0x78, 0x56, 0x34, 0x12])) > 0x240, true);
});
