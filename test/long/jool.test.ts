/**
 * NAT64 by jool, on the smallest lab that has both sides: a tester on a network without IPv4, a server on one without IPv6, and the router between them. Its
 * kernel module is built for the image's kernel, by a stage of the lab's chain.
 */
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {outcomeText} from '../rig/command.ts';
import {benchFor} from '../rig/machines.ts';
import {withProject} from '../rig/project.ts';

const bench = benchFor(test);

const scenario = `import {claim, defineScenario} from 'vmlab';

/** 192.168.2.231, the server, within the prefix; and the router's address beside it. */
const server = 'fd00:64::c0a8:2e7';
const router4 = '192.168.2.201';

export default defineScenario({
	summary: 'NAT64 by jool between two networks of one family each',
	budget: '3m',
	lab: {
		families: ['ipv6'],
		networks: {
			six: {families: ['ipv6'], subnets: {ipv6: 'fd00:6::/64'}},
			four: {families: ['ipv4'], subnets: {ipv4: '192.168.2.0/24'}},
		},
		machines: {
			router: {count: 1, memory: '256MiB', networks: ['six', 'four']},
			tester: {count: 1, memory: '256MiB', networks: ['six']},
			server: {count: 1, memory: '256MiB', networks: ['four']},
		},
		overlays: ['base', 'iptools', 'jool'],
	},
	async steps({tester, router, machine, step, eventually, refuted}) {
		const [client, gate, peer] = [tester('tester-1'), router('router-1'), machine('server-1')];
		const ask = async () => (await client.$\`nc -N -w 5 \${server} 8000 < /dev/null\`).stdout.trim();
		await step('the kernel has the module, and modprobe knows it beside those of the image', async () => {
			const {stdout} = await gate.$\`uname -r; modprobe --show-depends jool; modprobe dummy && lsmod\`;
			claim(/updates\\/jool_common\\.ko/.test(stdout) && /kernel\\/\\S*nf_defrag_ipv6\\.ko/.test(stdout) && /^dummy /m.test(stdout) && /^jool /m.test(stdout), stdout);
		});
		await step('a ping crosses to the server', async () => {
			await client.$\`ping -c 3 -W 5 \${server}\`;
		});
		await step('a TCP connection crosses, and the server sees the router, at a port that is not of its own connections', async () => {
			await peer.$\`systemd-run --quiet --unit=answer socat TCP4-LISTEN:8000,fork,reuseaddr 'SYSTEM:echo \$\$SOCAT_PEERADDR \$\$SOCAT_PEERPORT'\`;
			const answer = await eventually('an answer from the server', ask);
			const [address, port] = answer.split(' ');
			claim(address === router4 && Number(port) > 60_999, \`the server saw \${answer}\`);
		});
		await step('jool remembers the tester', async () => {
			const {stdout} = await gate.$\`jool -i vmlab session display --tcp --numeric; jool -i vmlab bib display --icmp --numeric\`;
			claim(stdout.includes('fd00:6::') && stdout.includes('192.168.2.231'), stdout);
		});
		await step('control: without jool nothing crosses', async () => {
			await gate.$\`systemctl stop vmlab-jool && ! jool instance display --csv --no-headers | grep -q vmlab\`;
			await refuted('an answer without a translator', ask);
			await refuted('a ping without a translator', async () => client.$\`ping -c 1 -W 2 \${server}\`);
		});
		await step('it does not start where another translator is to run, and counts as ready there', async () => {
			await gate.$\`echo translator=tayga > /etc/vmlab/nat64 && systemctl start vmlab-jool; ! systemctl is-active --quiet vmlab-jool && /usr/lib/vmlab/jool-is-ready\`;
			await refuted('an answer while another translator is to run', ask);
		});
		await step('it starts where it is the one that is to run', async () => {
			await gate.$\`echo translator=jool > /etc/vmlab/nat64 && ! /usr/lib/vmlab/jool-is-ready && systemctl start vmlab-jool && /usr/lib/vmlab/jool-is-ready\`;
			claim((await eventually('an answer from the server', ask)).startsWith(router4), 'the server saw another machine');
		});
	},
});
`;

test.serial('NAT64 by jool: its module is a stage of the chain, made once, and packets cross', async (t) => {
	t.timeout(60 * 60_000);
	await withProject({'scripts/jool.ts': scenario}, async ({folder}) => {
		const options = {env: {VMLAB_PROJECT: folder}, cwd: packageFolder};
		await bench.expect(t, 0, ['build', 'jool'], options);
		const {stages} = JSON.parse(await bench.expect(t, 0, ['plan', 'jool', '-o', 'json'], options)) as {stages: Array<{name: string; cached: boolean}>};
		t.true(stages.find(({name}) => name === 'modules jool-dkms')?.cached);
		const again = await bench.run(['build', 'jool'], options);
		t.is(again.code, 0, outcomeText(again));
		t.notRegex(again.stderr, /modules jool-dkms/);
		await bench.expect(t, 0, ['run', 'jool'], options);
	});
});
