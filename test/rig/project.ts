/** A user's project in a folder of its own, removed after the test. */
import {chmod, mkdir, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {DeclarationRoots} from '../../lab/spec/load.ts';

/** Path in the project -> text; `{link}` makes a link, `{mode}` sets permission bits. */
export type ProjectFiles = Readonly<Record<string, string | {readonly link: string} | {readonly text: string; readonly mode: number}>>;

/** A project of a test. */
export interface Project {
	readonly folder: string;
	/** Only this project: nothing of the package. */
	readonly roots: DeclarationRoots;
	write(files: ProjectFiles): Promise<void>;
}

async function write(folder: string, files: ProjectFiles): Promise<void> {
	for (const [name, content] of Object.entries(files)) {
		const file = path.join(folder, name);
		await mkdir(path.dirname(file), {recursive: true});
		if (typeof content === 'string') {
			await writeFile(file, content);
		} else if ('link' in content) {
			await symlink(content.link, file);
		} else {
			await writeFile(file, content.text);
			await chmod(file, content.mode);
		}
	}
}

/** Gives a fresh project with these files to `use`. */
export async function withProject<Value>(files: ProjectFiles, use: (project: Project) => Promise<Value>): Promise<Value> {
	return withTemporaryFolder(async (folder) => {
		await write(folder, {'package.json': '{"type": "module"}', ...files});
		return use({folder, roots: {folders: [folder]}, write: async (more) => write(folder, more)});
	});
}

/** The text of an overlay's file: the declaration is given as source. */
export function overlaySource(declaration: string): string {
	return `import {defineOverlay} from 'vmlab';\n\nexport default defineOverlay({\n${declaration}\n});\n`;
}

/** A small image, by the name that labs have by default. */
export const imageFiles: ProjectFiles = {
	'images/bookworm/image.ts': `import {defineImage} from 'vmlab';

export default defineImage({
	summary: 'An image for tests',
	release: 'bookworm',
	kernel: 'linux-image-cloud-amd64',
	packages: ['systemd', 'iproute2'],
	bootModules: ['erofs', 'overlay'],
});
`,
};
