/** Images are made so that the same package versions give the same bytes, whoever makes them. */
import {existsSync} from 'node:fs';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {benchFor} from '../rig/machines.ts';
import {withProject} from '../rig/project.ts';

const bench = benchFor(test);

const scenario = `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A machine of the image alone',
	budget: '1m',
	lab: {machines: {host: {count: 1}}, overlays: ['base']},
	async steps() {},
});
`;

/** The digest of an image that was just made, in a cache of its own. */
async function digestOfBuild(t: ExecutionContext<any>, builder: string): Promise<string | undefined> {
	return withTemporaryFolder(async (cache) => withProject({'scripts/host.ts': scenario}, async ({folder}) => {
		const options = {cwd: packageFolder, env: {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(cache, 'cache'), VMLAB_IMAGE_BUILDER: builder}};
		await bench.expect(t, 0, ['build', 'host'], options);
		const stages = JSON.parse(await bench.expect(t, 0, ['cache', 'list', '-o', 'json'], options)) as Array<{name: string; digest: string}>;
		return stages.find(({name}) => name === 'image bookworm')?.digest;
	}));
}

let first: string | undefined;

test.serial('an image that is made twice has the same bytes', async (t) => {
	t.timeout(60 * 60_000);
	first = await digestOfBuild(t, 'mmdebstrap');
	t.regex(first ?? '', /^[\da-f]{64}$/);
	t.is(await digestOfBuild(t, 'mmdebstrap'), first);
});

// Where no Docker daemon listens there is no such builder to compare. Tests are declared at once, so nobody can be asked.
const daemon = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
if (!daemon.startsWith('unix://') || existsSync(daemon.slice('unix://'.length))) {
	test.serial('and has them when it is made in a container', async (t) => {
		t.timeout(60 * 60_000);
		t.is(await digestOfBuild(t, 'docker'), first);
	});
}
