/** What Kubernetes is made of: its programs, and the container images that its own tests take for granted. */
import type {ComponentDeclaration, ContainerImageDeclaration, GoDeclaration} from 'vmlab';

const daemons = ['kubelet', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubectl'];

/**
 * The tags that Kubernetes' own tests want, by minor version, newest first (its test/utils/image/manifest.go). A version
 * that is newer than all of them gets the newest.
 */
const imageTags: ReadonlyArray<{readonly minor: number; readonly agnhost: string; readonly pause: string}> = [
	{minor: 36, agnhost: '2.63.0', pause: '3.10.2'},
	{minor: 35, agnhost: '2.59', pause: '3.10.1'},
	{minor: 34, agnhost: '2.56', pause: '3.10.1'},
	{minor: 33, agnhost: '2.53', pause: '3.10'},
	{minor: 32, agnhost: '2.53', pause: '3.10'},
	{minor: 31, agnhost: '2.52', pause: '3.10'},
	{minor: 30, agnhost: '2.47', pause: '3.9'},
];

/** How all of it is built: from one module, at one version, without cgo. */
function fromGo(packages: Readonly<Record<string, string>>): GoDeclaration {
	return {
		module: 'k8s.io/kubernetes',
		packages,
		ldflags: '-X k8s.io/component-base/version.gitVersion=vVERSION -X k8s.io/client-go/pkg/version.gitVersion=vVERSION',
		staging: true,
		goVersion: '1.26',
	};
}

/** The options that decide what is built. */
export interface ProgramOptions {
	readonly version: string;
	readonly dir: string;
	readonly crictlVersion: string;
	readonly testImages: boolean;
}

/** The programs on the machines, and those that only images are made of. */
export function components({version, dir, crictlVersion, testImages}: ProgramOptions): ComponentDeclaration[] {
	return [
		{
			name: 'kubernetes',
			version,
			programs: daemons.map(name => ({name, path: `/usr/bin/${name}`})),
			dir,
			release: {
				url: 'https://dl.k8s.io/vVERSION/kubernetes-server-linux-amd64.tar.gz',
				checksumUrl: 'https://dl.k8s.io/vVERSION/kubernetes-server-linux-amd64.tar.gz.sha256',
				paths: Object.fromEntries(daemons.map(name => [name, `kubernetes/server/bin/${name}`])),
			},
			go: fromGo(Object.fromEntries(daemons.map(name => [name, `k8s.io/kubernetes/cmd/${name}`]))),
		},
		{
			name: 'crictl',
			version: crictlVersion,
			programs: [{name: 'crictl', path: '/usr/bin/crictl'}],
			release: {
				url: 'https://github.com/kubernetes-sigs/cri-tools/releases/download/vVERSION/crictl-vVERSION-linux-amd64.tar.gz',
				checksumUrl: 'https://github.com/kubernetes-sigs/cri-tools/releases/download/vVERSION/crictl-vVERSION-linux-amd64.tar.gz.sha256',
				paths: {crictl: 'crictl'},
			},
			go: {
				module: 'sigs.k8s.io/cri-tools',
				packages: {crictl: 'sigs.k8s.io/cri-tools/cmd/crictl'},
				ldflags: '-X sigs.k8s.io/cri-tools/pkg/version.Version=VERSION',
				goVersion: '1.26',
				folder: 'crictl',
			},
		},
		// The process that holds a pod's namespaces: 30 lines of C in Kubernetes' own tree.
		{
			name: 'pause',
			version,
			programs: [{name: 'pause'}],
			go: fromGo({}),
			cSources: {folders: {pause: 'build/pause/linux/pause.c'}},
		},
		...(testImages ? [{name: 'agnhost', version, programs: [{name: 'agnhost'}], go: fromGo({agnhost: 'k8s.io/kubernetes/test/images/agnhost'})}] : []),
	];
}

/** The container images that pods of every cluster run in, and those of its tests where they are wanted. */
export function images({version, testImages}: ProgramOptions): ContainerImageDeclaration[] {
	const minor = Number(version.split('.')[1]);
	const tags = imageTags.find(entry => entry.minor <= minor) ?? imageTags.at(-1)!;
	return [
		{
			reference: `registry.k8s.io/pause:${tags.pause}`,
			source: {component: 'pause', programs: {pause: '/pause'}, entrypoint: ['/pause'], user: '65535:65535'},
		},
		...(testImages ? [{
			reference: `registry.k8s.io/e2e-test-images/agnhost:${tags.agnhost}`,
			source: {component: 'agnhost', programs: {agnhost: '/agnhost'}, entrypoint: ['/agnhost'], command: ['pause']},
		}] : []),
	];
}
