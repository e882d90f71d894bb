/** Images are made so that the same package versions give the same bytes, whoever makes them, and wherever. */
import {existsSync} from 'node:fs';
import {getServers} from 'node:dns';
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';
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

/** The digest of an image that is made in a cache of its own, after a look at its root filesystem. */
async function digestOfBuild(t: ExecutionContext<any>, builder: string, look: (image: string) => Promise<void> = async () => {}): Promise<string | undefined> {
	return withTemporaryFolder(async (folder) => withProject({'scripts/host.ts': scenario}, async (project) => {
		const cache = path.join(folder, 'cache');
		const options = {cwd: packageFolder, env: {VMLAB_PROJECT: project.folder, VMLAB_CACHE_DIR: cache, VMLAB_IMAGE_BUILDER: builder}};
		await bench.expect(t, 0, ['build', 'host'], options);
		const stages = JSON.parse(await bench.expect(t, 0, ['cache', 'list', '-o', 'json'], options)) as Array<{name: string; key: string; digest: string}>;
		const image = stages.find(({name}) => name === 'image bookworm');
		if (image !== undefined) {
			await look(path.join(cache, 'stages', image.key, 'files/root.erofs'));
		}

		return image?.digest;
	}));
}

/** The files of a root filesystem's configuration and state that have one of these texts in them. */
async function filesWith(image: string, texts: readonly string[]): Promise<string[]> {
	return withTemporaryFolder(async (folder) => {
		const tree = path.join(folder, 'tree');
		await run('fsck.erofs', [`--extract=${tree}`, image]);
		const found = await Promise.all(['etc', 'var'].map(async (part) => readdir(path.join(tree, part), {recursive: true, withFileTypes: true})));
		const files = found.flat().filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
		const named: string[] = [];
		for (const file of files) {
			const content = await readFile(file);
			if (texts.some((text) => content.includes(text))) {
				named.push(path.relative(tree, file));
			}
		}

		return named;
	});
}

let first: string | undefined;

test.serial('an image that is made twice has the same bytes, and does not name the name servers of the computer that made it', async (t) => {
	t.timeout(60 * 60_000);
	const servers = getServers().filter((server) => !server.startsWith('127.') && server !== '::1');
	first = await digestOfBuild(t, 'mmdebstrap', async (image) => {
		t.true((await filesWith(image, ['root:x:0:0'])).includes('etc/passwd'), 'files are looked into');
		t.deepEqual(await filesWith(image, servers), []);
	});
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
