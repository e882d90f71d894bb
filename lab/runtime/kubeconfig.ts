/** The kubeconfig by which programs on the host reach a lab's cluster. */
import {stringify} from 'yaml';
import type {ClusterAccess} from '../spec/overlay.ts';
import type {LabSecrets} from './secrets.ts';

/**
 * The text of a kubeconfig with everything in it, so that it is one private file.
 *
 * @param port on 127.0.0.1, where the API server answers; its certificate has that address
 */
export async function makeKubeconfig(lab: string, access: ClusterAccess, port: number, secrets: LabSecrets): Promise<string> {
	const [authority, client] = await Promise.all([secrets.authority(access.authority), secrets.certificate(access.client)]);
	const base64 = (text: string): string => Buffer.from(text).toString('base64');
	const cluster = `vmlab-${lab}`;
	return stringify({
		apiVersion: 'v1',
		kind: 'Config',
		clusters: [{name: cluster, cluster: {server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(authority.public)}}],
		users: [{name: cluster, user: {'client-certificate-data': base64(client.public), 'client-key-data': base64(client.private)}}],
		contexts: [{name: cluster, context: {cluster, user: cluster}}],
		'current-context': cluster,
	}, {lineWidth: 0});
}
