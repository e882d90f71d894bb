/** A pod talks to the API server as its ServiceAccount. */
import {claim, type StepContext} from 'vmlab';
import type {Pod} from './test-server.ts';

/** What the API server answered. */
export interface ApiAnswer {
	/** HTTP status. */
	readonly status: number;
	readonly body: string;
}

/**
 * Asks the API server from within a pod's network, for its address as the pod's environment has it, checked against the CA
 * that the pod was given, and with the pod's own token or without any. The test server cannot speak TLS by itself, so the
 * node's curl does it in the pod's namespaces (namespaces(7)); the pod is found by its host name.
 */
export async function askApiServer({node}: StepContext, pod: Pod, path: string, options: {token: boolean}): Promise<ApiAnswer> {
	const {stdout} = await node(pod.node).$`
		for pid in $(grep -lx agnhost /proc/[0-9]*/comm 2>/dev/null | cut -d / -f 3); do
			[ "$(nsenter --target $pid --uts uname -n)" = ${pod.name} ] || continue
			# Where the mount really is: in an image /var/run may be a link to /run, which would be followed to the node's.
			account=/proc/$pid/root$(awk '$5 ~ /\\/secrets\\/kubernetes.io\\/serviceaccount$/ {print $5; exit}' /proc/$pid/mountinfo)
			variable() { tr '\\0' '\\n' </proc/$pid/environ | sed -n "s/^$1=//p"; }
			host=$(variable KUBERNETES_SERVICE_HOST)
			case $host in *:*) host="[$host]" ;; esac
			# The token is not on a command line, where others could read it.
			{ [ ${options.token ? 'yes' : 'no'} = no ] || printf 'header = "Authorization: Bearer %s"\\n' "$(cat $account/token)"; } |
				nsenter --target $pid --net curl -sS --globoff --max-time 20 --config - --cacert $account/ca.crt -w '\\n%{http_code}' "https://$host:$(variable KUBERNETES_SERVICE_PORT)"${path}
			exit
		done
		echo "no process of pod "${pod.name}" is here" >&2
		exit 1`;
	const end = stdout.lastIndexOf('\n');
	return {status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end)};
}

/** Claims that the pod's token opens what is closed without it, and that it is the ServiceAccount `default/default`'s. */
export async function podTalksToApiServer(context: StepContext, pod: Pod): Promise<void> {
	const {status, body} = await askApiServer(context, pod, '/api', {token: true});
	claim(status === 200, `the API server answers pod ${pod.name} on ${pod.node} with ${status}, though it shows its token`, [body]);
	// What a ServiceAccount may not do is refused with its name.
	const refused = await askApiServer(context, pod, '/api/v1/namespaces/kube-system/secrets', {token: true});
	claim(refused.status === 403 && refused.body.includes('system:serviceaccount:default:default'), `pod ${pod.name} is not taken for its ServiceAccount`, [refused.body]);
}
