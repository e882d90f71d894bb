/**
 * The compiled program's own modules, which are what users run. From the sources each fork would load what compiles them, in its fabric's thread, and
 * that would be measured.
 */
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import {packageFolder} from '../../lab/host/folder.ts';

async function load<Module>(name: string): Promise<Module> {
	return import(pathToFileURL(path.join(packageFolder, '.build/lab', `${name}.js`)).href) as Promise<Module>;
}

export const {preparePlan} = await load<typeof import('../../lab/build/prepare.ts')>('build/prepare');
export const {startFabric} = await load<typeof import('../../lab/fabric/fabric.ts')>('fabric/fabric');
export const {probeAccelerator} = await load<typeof import('../../lab/machine/accelerator.ts')>('machine/accelerator');
export const {startMachine} = await load<typeof import('../../lab/machine/machine.ts')>('machine/machine');
export const {connectSsh} = await load<typeof import('../../lab/machine/ssh.ts')>('machine/ssh');
export const {makeChain} = await load<typeof import('../../lab/runtime/chain.ts')>('runtime/chain');
export const {bootLab} = await load<typeof import('../../lab/runtime/lab.ts')>('runtime/lab');
export const {inputsOfReadyLab} = await load<typeof import('../../lab/runtime/ready-lab.ts')>('runtime/ready-lab');
export const {loadScenario} = await load<typeof import('../../lab/spec/load.ts')>('spec/load');
export const {openStore} = await load<typeof import('../../lab/store/open-store.ts')>('store/open-store');
