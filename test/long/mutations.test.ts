/** All scenarios can fail, by the change that each declares. `test/vm/mutations.test.ts` has that of `ipv4`. */
import {readdirSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {benchFor} from '../rig/machines.ts';
import {testChange} from '../rig/red.ts';

const bench = benchFor(test);

for (const file of readdirSync(path.join(packageFolder, 'scripts')).filter((name) => name.endsWith('.ts')).sort()) {
	const scenario = path.basename(file, '.ts');
	if (scenario !== 'ipv4') {
		testChange(test, bench, scenario);
	}
}
