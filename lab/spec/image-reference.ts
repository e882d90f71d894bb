/** Names of container images. */

/**
 * The whole name of an image, as container runtimes have it: `busybox` is `docker.io/library/busybox:latest`; pure.
 * The first part is a registry when it has a dot or a port, or is `localhost` (the rule of Docker's reference package).
 */
export function wholeReference(reference: string): string {
	const [first = '', ...rest] = reference.split('/');
	const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
	const named = hasRegistry ? reference : `docker.io/${rest.length === 0 ? 'library/' : ''}${reference}`;
	return /[:@][^/]*$/.test(named) ? named : `${named}:latest`;
}
