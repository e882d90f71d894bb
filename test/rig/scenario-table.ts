/** The README's table of scenarios, made from their declarations and from the times of a run of all of them. */
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {packageFolder} from '../../lab/host/folder.ts';
import {listScenarios, loadScenario, type LoadedScenario} from '../../lab/spec/load.ts';
import {formatSeconds} from '../../lab/report/duration.ts';
import {readEvents} from './events-file.ts';
import {markdownTable} from './readme-section.ts';

/** Run -> the seconds that its steps took on a fork, as they were measured. */
type Times = Readonly<Record<string, number>>;

const timesFile = path.join(packageFolder, 'test/rig/scenario-times.json');

/** Takes the times of the scenarios that passed in a report's events into those that are known. */
export async function rememberTimes(events: string): Promise<void> {
	const known = await readTimes();
	const passed = (await readEvents(events)).flatMap((event) => (event.type === 'scenario' && event.reason === 'passed' ? [[event.scenario, Math.round(event.seconds)] as const] : []));
	await writeFile(timesFile, `${JSON.stringify(Object.fromEntries(Object.entries({...known, ...Object.fromEntries(passed)}).sort(([a], [b]) => (a < b ? -1 : 1))), undefined, '\t')}\n`);
}

async function readTimes(): Promise<Times> {
	return JSON.parse(await readFile(timesFile, 'utf8')) as Times;
}

const familyNames = {ipv4: 'IPv4', ipv6: 'IPv6'} as const;

/** The families of a lab, and of networks that have others. */
function familiesOf({lab}: LoadedScenario['scenario']): string {
	const own = (lab.families ?? ['ipv4']).map((family) => familyNames[family]).join(', ');
	const others = Object.entries(lab.networks ?? {}).flatMap(([name, {families}]) => (families === undefined ? [] : [`${families.map((family) => familyNames[family]).join(', ')} on ${name}`]));
	return [own, ...others].join('; ');
}

/** Scenarios whose steps switch kube-proxy's mode, and to what: no declaration says so. */
const switchedModes: Readonly<Record<string, readonly string[]>> = {
	'bug-forward-drop': ['nftables', 'iptables', 'ipvs'], 'bug-ipv4-rules-only': ['nftables', 'iptables'], 'bug-service-source': ['nftables', 'iptables', 'ipvs'],
};

/** The modes of kube-proxy that a scenario and its variants have, or that its steps switch to. */
function proxyModesOf(name: string, {lab, variants = {}}: LoadedScenario['scenario']): string {
	if (!lab.overlays.includes('kubernetes')) {
		return '';
	}

	const modeOf = (options: typeof lab.options): string => String(options?.['kubernetes']?.['proxyMode'] ?? 'nftables');
	return [...new Set([modeOf(lab.options), ...Object.values(variants).map((options) => modeOf(options)), ...switchedModes[name] ?? []])].join(', ');
}

/** The table as it should be. */
export async function scenarioTable(): Promise<string> {
	const roots = {folders: [packageFolder]};
	const times = await readTimes();
	return markdownTable(['scenario', 'families', 'kube-proxy', 'what it proves', 'turns red when', 'time'], await Promise.all((await listScenarios(roots)).map(async (name) => {
		const {scenario} = await loadScenario(name, roots);
		const variants = Object.keys(scenario.variants ?? {});
		const told = [name, ...variants.map((variant) => `${name}-${variant}`)].flatMap((run, index) => {
			const seconds = times[run];
			return seconds === undefined ? [] : [`${index === 0 ? '' : `@${variants[index - 1]} `}${formatSeconds(seconds)}`];
		});
		return [
			`\`${name}\`${variants.length === 0 ? '' : `, ${variants.map((variant) => `\`@${variant}\``).join(', ')}`}`, familiesOf(scenario), proxyModesOf(name, scenario), scenario.summary,
			scenario.mutation?.summary ?? '', told.join(', '),
		];
	})));
}
