/** Pictures of topologies: what is in them, and that it can be read. */
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {TopologyEvent} from '../../lab/event/event.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {topologyMermaid} from '../../lab/report/topology-mermaid.ts';
import {topologyPicture} from '../../lab/report/topology-picture.ts';
import {topologyEvent} from '../../lab/scenario/topology-event.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import {withPage} from '../rig/browser.ts';
import {overlay, planOf} from '../rig/overlay.ts';

function drawn(lab: Partial<LabDeclaration>): TopologyEvent {
	return topologyEvent('example', planOf([overlay('base')], lab).topology);
}

/** The lab that the README shows. */
const shown = drawn({
	networks: {
		blue: {subnets: {ipv4: '192.168.10.0/24'}},
		green: {subnets: {ipv4: '192.168.20.0/24'}, mtu: 9000},
		trunk: {vlans: {blue: 10, green: 20}},
		uplink: {kind: 'point-to-point'},
	},
	machines: {
		router: {count: 2, networks: {'router-1': ['trunk', 'uplink'], 'router-2': ['uplink']}},
		tester: {count: 2, networks: {'tester-1': ['blue'], 'tester-2': ['green']}},
	},
});

/** Eight machines and six networks, of all kinds. */
const large = drawn({
	families: ['ipv4', 'ipv6'],
	networks: {
		blue: {subnets: {ipv4: '192.168.10.0/24', ipv6: '1000::1:c0a8:a00/120'}},
		green: {subnets: {ipv4: '192.168.20.0/24', ipv6: '1000::1:c0a8:1400/120'}, mtu: 9000},
		trunk: {vlans: {blue: 10, green: 20}},
		up: {kind: 'point-to-point'},
		down: {kind: 'point-to-point', mtu: 1400},
		external: {subnets: {ipv4: '192.168.2.0/24', ipv6: '1000::1:c0a8:200/120'}},
	},
	machines: {
		node: {count: 2, networks: ['blue']}, ape: {count: 1, networks: ['green']},
		router: {count: 3, networks: {'router-1': ['trunk', 'up', 'down'], 'router-2': ['up', 'external'], 'router-3': ['down', 'external']}},
		tester: {count: 2, networks: ['external']},
	},
});

const hostile = '"]; click m0 "javascript:alert(1)"\n%%{init}%% <script>x</script> #quot; & \u001B[31m`|end';
const hostileTopology: TopologyEvent = {
	type: 'topology', lab: hostile,
	networks: [{name: hostile, subnets: [hostile], mtu: 1, vlans: [{network: hostile, id: 1}]}, {name: 'wire', kind: 'point-to-point', subnets: [hostile]}],
	machines: ['a', 'b'].map((name) => ({name: name + hostile, role: hostile, links: [{network: 'wire', device: hostile, addresses: [hostile]}, {network: hostile, addresses: []}, {network: 'nowhere', addresses: [hostile]}]})),
};

test('an event has devices, the MTU where it is another than 1500, trunks and point-to-point links', (t) => {
	t.deepEqual(shown.networks, [
		{name: 'blue', subnets: ['192.168.10.0/24']}, {name: 'green', subnets: ['192.168.20.0/24'], mtu: 9000},
		{name: 'trunk', subnets: [], mtu: 9000, vlans: [{network: 'blue', id: 10}, {network: 'green', id: 20}]},
		{name: 'uplink', subnets: ['192.168.255.0/31'], kind: 'point-to-point'},
	]);
	t.deepEqual(shown.machines[0]?.links, [
		{network: 'trunk', device: 'eth1', addresses: []}, {network: 'blue', device: 'eth1.10', vlan: 10, addresses: ['192.168.10.201/24']},
		{network: 'green', device: 'eth1.20', vlan: 20, addresses: ['192.168.20.201/24']}, {network: 'uplink', device: 'eth2', addresses: ['192.168.255.0/31']},
	]);
});

test('Mermaid text has each machine and network once, and each NIC with its addresses', (t) => {
	t.is(topologyMermaid(shown), `flowchart LR
    m0["router-1<br/>router"]
    m1["router-2<br/>router"]
    m2["tester-1<br/>tester"]
    m3["tester-2<br/>tester"]
    n0(["blue<br/>192.168.10.0/24<br/>VLAN 10 of trunk"])
    n1(["green<br/>192.168.20.0/24<br/>VLAN 20 of trunk<br/>MTU 9000"])
    n2(["trunk<br/>VLANs 10, 20<br/>MTU 9000"])
    m0 ---|"eth1<br/>eth1.10 192.168.10.201/24<br/>eth1.20 192.168.20.201/24"| n2
    m2 ---|"eth1<br/>192.168.10.221/24"| n0
    m3 ---|"eth1<br/>192.168.20.222/24"| n1
    m0 ---|"uplink<br/>router-1 eth2 192.168.255.0/31<br/>router-2 eth1 192.168.255.1/31"| m1
    n2 -.-|"VLAN 10"| n0
    n2 -.-|"VLAN 20"| n1
`);
});

test('the README shows the picture of the lab that it declares', async (t) => {
	const readme = await readFile(path.join(packageFolder, 'README.md'), 'utf8');
	t.true(readme.includes(`\`\`\`mermaid\n${topologyMermaid(shown)}\`\`\`\n`));
});

test('whatever names are, Mermaid text has no other lines, quotes or tags than its own', (t) => {
	const lines = topologyMermaid(hostileTopology).trimEnd().split('\n');
	t.is(lines[0], 'flowchart LR');
	const label = '"(?:[\\p{L}\\p{N} ./:,@_-]|#\\d+;|<br/>)*"';
	const form = new RegExp(`^    (?:m\\d+\\[${label}\\]|n\\d+\\(\\[${label}\\]\\)|[mn]\\d+ (?:---|-\\.-)(?:\\|${label}\\|)? [mn]\\d+)$`, 'u');
	t.deepEqual(lines.slice(1).filter((line) => !form.test(line)), []);
	t.is(lines.length, 8);
});

test('a picture of its own brings its look along, and one in a page does not', (t) => {
	const alone = topologyPicture(large, true).text;
	t.regex(alone, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*<style>[^]*<\/svg>\n$/);
	t.notRegex(topologyPicture(large).text, /xmlns|<style/);
	for (const text of ['router-3', 'eth1.20 1000::1:c0a8:14c9/120', 'down · MTU 1400', 'green · VLAN 20 of trunk · MTU 9000', 'trunk · VLANs 10, 20 · MTU 9000', '192.168.255.3/31']) {
		t.true(alone.includes(`>${text}<`), text);
	}
});

test('a point-to-point link is a line between its two machines, a network one across the picture', (t) => {
	const text = topologyPicture(large).text;
	const lines = (kind: string): number[][] => [...text.matchAll(new RegExp(`<line class="${kind}" x1="([\\d.]+)" y1="([\\d.]+)" x2="([\\d.]+)" y2="([\\d.]+)"`, 'g'))].map(([, ...numbers]) => numbers.map(Number));
	const ends = [...text.matchAll(/<circle class="port" cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => `${x} ${y}`);
	const wires = lines('network wire');
	t.is(wires.length, 2);
	for (const [x1, y1, x2, y2] of wires) {
		t.true(ends.includes(`${x1} ${y1}`) && ends.includes(`${x2} ${y2}`));
	}

	// Four networks, and what joins the trunk with its VLANs.
	t.is(lines('network').length, 5);
	t.is(new Set(lines('network').filter(([x1, , x2]) => x1 !== x2).map(([x1, , x2]) => `${x1} ${x2}`)).size, 1);
});

/** Pairs of words that lie on each other or beyond the picture, by more than a pixel. */
const unreadable = `(() => {
	const picture = document.documentElement.getBoundingClientRect();
	const words = [...document.querySelectorAll('text')].map((text) => ({said: text.textContent, box: text.getBoundingClientRect()}));
	const parts = [...words, ...[...document.querySelectorAll('rect.machine')].map((rect) => ({said: 'a box', box: rect.getBoundingClientRect()}))];
	const inside = (one, other) => one.box.left >= other.box.left && one.box.right <= other.box.right && one.box.top >= other.box.top && one.box.bottom <= other.box.bottom;
	return [
		...words.filter(({box}) => box.left < picture.left - 1 || box.right > picture.right + 1 || box.top < picture.top - 1 || box.bottom > picture.bottom + 1).map(({said}) => said + ' is cut off'),
		...parts.flatMap((one, index) => parts.slice(index + 1)
			.filter((other) => !inside(one, other) && one.box.left < other.box.right - 1 && other.box.left < one.box.right - 1 && one.box.top < other.box.bottom - 1 && other.box.top < one.box.bottom - 1)
			.map((other) => one.said + ' | ' + other.said)),
	];
})()`;

test.serial('eight machines and six networks can be read in a browser, and hostile names are only text there', async (t) => {
	t.timeout(10 * 60_000);
	await withTemporaryFolder(async (folder) => {
		for (const [topology, isReadable] of [[large, true], [shown, true], [hostileTopology, false]] as const) {
			const file = path.join(folder, 'lab.svg');
			await writeFile(file, topologyPicture(topology, true).text);
			await withPage(file, {width: 2400, height: 1300}, async (page) => {
				t.is(await page.evaluate<string>('document.documentElement.tagName'), 'svg', 'it is well-formed');
				t.is(await page.evaluate<number>('document.querySelectorAll(\'rect.machine\').length'), topology.machines.length);
				t.is(await page.evaluate<number>('document.scripts.length'), 0);
				t.deepEqual(page.complaints, []);
				t.is(page.requests.length, 1);
				if (isReadable) {
					t.deepEqual(await page.evaluate<string[]>(unreadable), []);
				}
			});
		}
	});
});
