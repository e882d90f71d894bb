/** The way of packets, hop by hop, as the routers on it tell. */
import {claim, type Family, type LabTopology, type MachineHandle, type MutationDeclaration} from 'vmlab';
import {addressOf} from './address.ts';

/** Seconds that an answer may take. */
const patience = 5;

/** What became of a packet that could pass so many routers and no more. */
interface Hop {
	/** Who answered or told that it ends here: a machine of the lab, or an address that none has; undefined where nobody did. */
	readonly by?: string;
	/** Did the packet arrive? */
	readonly arrived: boolean;
	/** What ping(8) says of it, as few words. */
	readonly words: string;
}

/** The machine that has an address; the address where none has it. */
function ownerOf({machines}: LabTopology, address: string): string {
	return machines.find(({links}) => links.some(({addresses}) => addresses.some((own) => own.address === address)))?.name ?? address;
}

/** One packet's fate, from what ping(8) printed. */
export function readHop(lab: LabTopology, text: string): Hop {
	const [, answering] = /bytes from (\S+?):? icmp_seq=/.exec(text) ?? [];
	if (answering !== undefined) {
		return {by: ownerOf(lab, answering), arrived: true, words: 'answers'};
	}

	const [, telling, words = ''] = /^From (\S+?):? icmp_seq=\d+:? (.*)$/m.exec(text) ?? [];
	if (telling !== undefined) {
		return {by: ownerOf(lab, telling), arrived: false, words};
	}

	// Its own kernel refused: 'ping: connect: Network is unreachable'.
	return {arrived: false, words: /^ping6?: (?:connect: |sendmsg: )?(.*)$/m.exec(text)?.[1] ?? 'no answer'};
}

/** What becomes of packets that may go one hop, two hops and so on, up to the first that nobody tells of. */
async function hops(lab: LabTopology, from: MachineHandle, address: string, most: number): Promise<Hop[]> {
	const {stdout} = await from.$`for hops in $(seq ${most}); do
			told=$(ping -n -c 1 -W ${patience} -t $hops ${address} 2>&1 || true)
			echo "hop $hops"; echo "$told"
			case $told in *icmp_seq=*) ;; *) break ;; esac
		done`;
	return stdout.split(/^hop \d+$/m).slice(1).map((text) => readHop(lab, text));
}

/**
 * Claims that packets from one machine get to another by these routers, and that the last of them does not let a packet pass that may not go further: each of them tells
 * that it was its hop where the packet ended.
 */
export async function claimPath(lab: LabTopology, from: MachineHandle, to: MachineHandle, family: Family, routers: readonly string[]): Promise<void> {
	const expected = [...routers, to.name];
	const found = await hops(lab, from, addressOf(to.machine, family), expected.length);
	const shown = found.map(({by, words}, index) => `hop ${index + 1}: ${by === undefined ? words : `${by}: ${words}`}`);
	for (const [index, name] of expected.entries()) {
		const hop = found[index];
		const isLast = index === expected.length - 1;
		const fits = hop?.by === name && (isLast ? hop.arrived : /exceeded/i.test(hop.words));
		claim(fits, `on the way from ${from.name} to ${to.name} (${family}) hop ${index + 1} should be ${name}, and was ${hop?.by === undefined ? `nobody: ${hop?.words ?? 'no answer'}` : `${hop.by}: ${hop.words}`}`, shown);
	}
}

/** A link on the only path between two machines, and what `claimPath` says of its hops while the link is cut. */
interface CutLink {
	/** Whose link it is, in words. */
	readonly summary: string;
	/** 'router-3@second' */
	readonly link: string;
	/** The step that fails; and the one before which it is cut, where that is not the first. */
	readonly red: string;
	readonly before?: string;
	readonly from: string;
	readonly to: string;
	/** The number of the first hop behind it, and who is there while the link is not cut. */
	readonly hop: number;
	readonly behind: string;
	/** Who may tell that nobody is there. */
	readonly ahead: string;
}

/** The change that a link is cut. */
export function cutLink({summary, link, red, before, from, to, hop, behind, ahead}: CutLink): MutationDeclaration {
	return {
		summary, red, ...(before !== undefined && {before}),
		because: new RegExp(String.raw`on the way from ${from} to ${to} \(ipv4\) hop ${hop} should be ${behind}, and was (nobody|${ahead}: Destination Host Unreachable)`),
		async apply({fabric}) {
			await fabric.cut(link);
		},
	};
}

/** Claims that one machine reaches another's address. `most` is the number of hops that its packets may go: 1 leaves no router to pass. */
export async function claimReached(from: MachineHandle, address: string, most?: number): Promise<void> {
	const {exitCode, stdout, stderr} = await from.try$`ping -n -c 1 -W ${patience} ${most === undefined ? [] : ['-t', most]} ${address}`;
	claim(exitCode === 0, `${from.name} does not reach ${address}`, `${stdout}\n${stderr}`.split('\n').filter((line) => line !== ''));
}

/** Claims that it does not, and that ping says so itself instead of failing. */
export async function claimNotReached(from: MachineHandle, address: string): Promise<void> {
	const {exitCode, stdout, stderr} = await from.try$`ping -n -c 1 -W ${patience} ${address}`;
	claim(exitCode !== 0, `${address} answers ${from.name}`);
	claim(/unreachable|100% packet loss/i.test(stdout + stderr), `whether ${from.name} reaches ${address} is not known: ping ended with exit code ${exitCode}`, [stdout, stderr]);
}
