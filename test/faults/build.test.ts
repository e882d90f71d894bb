/** Builds that go wrong: what is told, with which exit code, and what the store is like afterwards. */
import {readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {run} from '../../lab/host/program.ts';
import {outcomeText, vmlab, vmlabProgram} from '../rig/command.ts';
import {imageFiles, overlaySource, withProject, type Project, type ProjectFiles} from '../rig/project.ts';

/** A project whose image is made by the given shell script in place of mmdebstrap. */
function projectWith(builder: string): ProjectFiles {
	return {
		...imageFiles,
		'overlays/small/overlay.ts': overlaySource('\tsummary: \'small\','),
		'overlays/small/rootfs/usr/share/small': 'small\n',
		'scripts/small.ts': `import {defineScenario} from 'vmlab';
export default defineScenario({summary: 'small', lab: {machines: {node: {count: 1}}, overlays: ['small']}, budget: '1m', async steps() {}});
`,
		'bin/mmdebstrap': {text: `#!/bin/sh\n[ "$1" = --unshare-helper ] && exec true\n${builder}\n`, mode: 0o755},
	};
}

function environmentOf({folder}: Project): Record<string, string> {
	return {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache'), PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`};
}

interface ShownPlan {
	readonly stages: ReadonlyArray<{readonly name: string; readonly cached: boolean}>;
}

/** The names of the stages that are in the store. */
async function cachedStages(project: Project): Promise<string[]> {
	const {stdout} = await vmlab(['plan', 'small', '-o', 'json'], {env: environmentOf(project)});
	return (JSON.parse(stdout) as ShownPlan).stages.filter(({cached}) => cached).map(({name}) => name);
}

test('a download that breaks is told, and the store stays good', async (t) => {
	const builder = 'sleep 2; echo "E: Failed to fetch http://mirror.example/debian/pool/main/l/linux.deb  Connection reset by peer" >&2; exit 100';
	await withProject(projectWith(builder), async (project) => {
		const outcome = await vmlab(['build', 'small'], {env: environmentOf(project)});
		t.is(outcome.code, 5, outcomeText(outcome));
		t.regex(outcome.stderr, /Connection reset by peer/);
		t.deepEqual(await readdir(path.join(project.folder, 'cache/scratch')), []);
		const cached = await cachedStages(project);
		t.false(cached.includes('image bookworm'));
		t.true(cached.includes('layer node'), 'what was built before it broke is kept');
		const verified = await vmlab(['cache', 'verify'], {env: environmentOf(project)});
		t.is(verified.code, 0, outcomeText(verified));
	});
});

test('a run that does not come to its scenario has a report that says so', async (t) => {
	await withProject(projectWith('exit 100'), async (project) => {
		const report = path.join(project.folder, 'report');
		const outcome = await vmlab(['run', 'small', '--report', report, '-o', 'json'], {env: environmentOf(project)});
		t.is(outcome.code, 5, outcomeText(outcome));
		t.like(JSON.parse(outcome.stdout), [{scenario: 'small', passed: false}]);
		t.deepEqual((await readdir(report)).filter((name) => name !== 'evidence').sort(), ['events.jsonl', 'junit.xml', 'report.html']);
	});
});

test('a full disk is told as one, and with room again the build goes on', async (t) => {
	await withProject(projectWith('sleep 4; exit 100'), async (project) => {
		// More than the disk below has, and nothing that could be left sparse or compressed.
		await writeFile(path.join(project.folder, 'overlays/small/rootfs/usr/share/big'), Buffer.alloc(24 * 1024 ** 2, 'abc'));
		const script = [
			'mkdir -p "$VMLAB_CACHE_DIR"',
			'mount -t tmpfs -o size=16m none "$VMLAB_CACHE_DIR"',
			'"$0" "$1" build small; echo "first: $?"',
			'echo "left: $(ls "$VMLAB_CACHE_DIR/scratch" | wc -l)"',
			'mount -o remount,size=256m none "$VMLAB_CACHE_DIR"',
			'"$0" "$1" build small 2>&1; "$0" "$1" plan small',
		].join('\n');
		const {stdout, stderr} = await run('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', script, process.execPath, vmlabProgram], {
			env: {...environmentOf(project), CI: 'true', NO_COLOR: '1', NODE_OPTIONS: ''},
		});
		const told = `${stdout}\n${stderr}`;
		t.regex(stdout, /^first: 4$/m, told);
		t.regex(stdout, /^left: 0$/m, told);
		t.regex(stderr, /No space is left on the disk/);
		t.regex(stderr, /cache prune/);
		t.regex(stdout, /^layer node +[\da-f]+ +cached/m, told);
	});
});
