import {defineOverlay, type ContainerImageDeclaration} from 'vmlab';

/** Words separated by white space or commas. */
function words(text: string): string[] {
	return text.split(/[\s,]+/).filter(word => word !== '');
}

/** `REFERENCE=PATH` as an image from a file of the host. */
function fromFile(text: string): ContainerImageDeclaration {
	const at = text.indexOf('=');
	return {reference: text.slice(0, at), source: {file: text.slice(at + 1)}};
}

export default defineOverlay({
	summary: 'Container images on the nodes before they are needed: those of all overlays, from files, and from the local Docker daemon',
	needs: ['base', 'cri'],
	roles: ['node'],
	options: {
		files: {
			default: '', summary: 'More images: REFERENCE=PATH of an OCI or docker-archive tar on this computer, separated by spaces or commas',
			pattern: {
				matches: '[\\s,]*([^\\s,=]+=/[^\\s,]+([\\s,]+|$))*',
				wanted: 'REFERENCE=PATH with an absolute path ($HOME in place of ~), such as example.org/server:1.0=/tmp/server.tar; several are separated by spaces or commas',
			},
		},
		docker: {default: '', summary: 'More images: references of the local Docker daemon, separated by spaces or commas'},
	},
	images: ({files, docker}) => [
		...words(files).map(text => fromFile(text)),
		...words(docker).map(reference => ({reference, source: {docker: reference}})),
	],
	units: () => ['vmlab-images.service'],
	ready: ({machine}) => [{sentence: `the store of container images is on ${machine.name}`, deadline: '20s', unit: 'vmlab-images.service'}],
	evidence: () => [{name: 'images.txt', command: 'findmnt /run/vmlab/image-store; find /run/vmlab/image-store -maxdepth 3; journalctl --no-pager -u vmlab-images.service'}],
});
