import test from 'ava';
import {hasReadOnlyMemory} from '../../lab/machine/emulator.ts';

test('a QEMU that can open memory for reading alone is known by a property of such memory', (t) => {
	// From QEMU 7.2 and 10.0: `-object memory-backend-file,help`.
	const old = 'memory-backend-file options:\n  mem-path=<string>\n  readonly=<bool>\n  reserve=<bool>         - Reserve swap space (or huge pages) if applicable\n';
	t.false(hasReadOnlyMemory(old));
	t.true(hasReadOnlyMemory(`${old}  rom=<OnOffAuto>        - Whether to create Read Only Memory (ROM)\n`));
	t.false(hasReadOnlyMemory(''));
});
