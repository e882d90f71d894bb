import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

const script = path.join(packageFolder, 'overlays/externalip/rootfs/usr/lib/vmlab/give-external-addresses');

/** A kubectl that lists what is in a file, sees one change, and writes down what it is to patch. */
const kubectl = `#!/bin/bash
folder=\${0%/*}
case "$*" in
	*--watch*) echo service/one ;;
	*jsonpath*) cat "$folder/services" ;;
	*' patch '*|patch*) echo "$*" | grep -o 'service [^ ]*\\|namespace=[^ ]*\\|"ip":"[^"]*"' | sed 's/^service //; s/^namespace=//; s/"ip"://; s/"//g' | paste -s -d ' ' >>"$folder/patched" ;;
esac
`;

/**
 * Runs the script once. Services are lines of namespace|name|class|annotation|loadBalancerIP|families|addresses.
 * Gives what it patched: 'name namespace address ...'.
 */
async function give(services: readonly string[]): Promise<{patched: string[]; said: string}> {
	return withTemporaryFolder(async folder => {
		const put = async (name: string, text: string): Promise<void> => writeFile(path.join(folder, name), text);
		await mkdir(path.join(folder, 'pools'));
		await put('pools/ipv4', '10.0.0.1\n10.0.0.2\n10.0.0.3\n');
		await put('pools/ipv6', '1000::1\n1000::2\n1000::3\n');
		await put('cluster.env', 'API_SERVER=https://192.168.1.1:6443\n');
		await put('services', services.map(line => `${line}\n`).join(''));
		await put('patched', '');
		await put('kubectl', kubectl);
		await chmod(path.join(folder, 'kubectl'), 0o755);
		const text = (await readFile(script, 'utf8')).replaceAll('/etc/vmlab/external-addresses', path.join(folder, 'pools')).replaceAll('/etc/kubernetes/cluster.env', path.join(folder, 'cluster.env'));
		await put('script', text);
		const {stderr} = await run('bash', [path.join(folder, 'script')], {env: {PATH: `${folder}:${process.env['PATH']}`}});
		return {patched: (await readFile(path.join(folder, 'patched'), 'utf8')).split('\n').filter(line => line !== ''), said: stderr};
	});
}

test('a Service gets the first free address, in each of its families', async t => {
	t.deepEqual((await give(['default|one||||IPv4 IPv6|'])).patched, ['one default 10.0.0.1 1000::1']);
	t.deepEqual((await give(['default|one||||IPv4|10.0.0.1', 'default|two||||IPv4|', 'other|three||||IPv6|'])).patched, ['two default 10.0.0.2', 'three other 1000::1']);
});

test('a Service gets the address that it asks for', async t => {
	t.deepEqual((await give(['default|one|||10.0.0.2|IPv4|'])).patched, ['one default 10.0.0.2']);
	t.deepEqual((await give(['default|one||10.0.0.3,1000::2||IPv6 IPv4|'])).patched, ['one default 1000::2 10.0.0.3']);
	t.deepEqual((await give(['default|one|||10.0.0.2|IPv4 IPv6|'])).patched, ['one default 10.0.0.2 1000::1']);
});

test('a Service that has its addresses keeps them, and is not written again', async t => {
	t.deepEqual((await give(['default|one|||10.0.0.2|IPv4|10.0.0.2', 'default|two||||IPv4 IPv6|10.0.0.3 1000::3'])).patched, []);
});

test('a Service that asks for another address than it has gets that one', async t => {
	t.deepEqual((await give(['default|one|||10.0.0.2|IPv4|10.0.0.1'])).patched, ['one default 10.0.0.2']);
});

test('a Service that asks for more than one address of a family keeps what it has of them', async t => {
	t.deepEqual((await give(['default|one||10.0.0.2|10.0.0.3|IPv4|10.0.0.2'])).patched, []);
	t.deepEqual((await give(['default|one||10.0.0.2,10.0.0.3||IPv4|10.0.0.3'])).patched, []);
});

test('a Service that asks for an address which another one has keeps its own', async t => {
	const {patched, said} = await give(['default|one|||10.0.0.2|IPv4|10.0.0.1', 'default|two||||IPv4|10.0.0.2']);
	t.deepEqual(patched, []);
	t.regex(said, /10\.0\.0\.2 is asked for, but another Service has it/);
});

test('an address is never given twice', async t => {
	const {patched, said} = await give(['default|one||||IPv4|10.0.0.2', 'default|two|||10.0.0.2|IPv4|']);
	t.deepEqual(patched, []);
	t.regex(said, /10\.0\.0\.2 is asked for, but another Service has it/);
	t.deepEqual((await give(['default|one||||IPv4|', 'default|two||||IPv4|'])).patched, ['one default 10.0.0.1', 'two default 10.0.0.2']);
});

test('Services that ask for an address come before those that take any', async t => {
	t.deepEqual((await give(['default|any||||IPv4|', 'default|one|||10.0.0.1|IPv4|'])).patched.sort(), ['any default 10.0.0.2', 'one default 10.0.0.1']);
});

test('a Service of another class is left alone, and an empty cluster is no error', async t => {
	t.deepEqual((await give(['default|one|example.org/other|||IPv4|'])).patched, []);
	t.deepEqual((await give([])).patched, []);
});

test('when no address is left, that is said', async t => {
	const {patched, said} = await give(['default|a||||IPv4|10.0.0.1', 'default|b||||IPv4|10.0.0.2', 'default|c||||IPv4|10.0.0.3', 'default|d||||IPv4|']);
	t.deepEqual(patched, []);
	t.regex(said, /no address is left/);
});
