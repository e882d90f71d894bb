/** All scenarios can fail, by the change that each declares, and one in a variant. `test/vm/mutations.test.ts` has those of `ipv4` and `router-on-a-stick`. */
import {readdirSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {benchFor} from '../rig/machines.ts';
import {testChange} from '../rig/red.ts';

const bench = benchFor(test);

for (const file of readdirSync(path.join(packageFolder, 'scripts')).filter((name) => name.endsWith('.ts')).sort()) {
	const scenario = path.basename(file, '.ts');
	if (scenario !== 'ipv4' && scenario !== 'router-on-a-stick') {
		testChange(test, bench, scenario);
	}
}

// Its DNS64 is another program, and so is the change of it.
testChange(test, bench, 'nat64@unbound');
