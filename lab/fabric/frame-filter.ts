/** A match as words: the part of pcap-filter(7) that says what all must be true. */
import {failure} from '../host/failure.ts';
import {suggest} from '../host/suggestion.ts';
import {checkMatch, type FrameMatch} from '../spec/frame-match.ts';

/** Words that are a condition by themselves. */
const plain: Readonly<Record<string, FrameMatch>> = {
	ip: {family: 'ipv4'}, ip6: {family: 'ipv6'}, arp: {protocol: 'arp'}, tcp: {protocol: 'tcp'}, udp: {protocol: 'udp'}, sctp: {protocol: 'sctp'},
	icmp: {protocol: 'icmp'}, icmp6: {protocol: 'icmpv6'},
};

/** What a value is for, by the words before it. */
const valued: Readonly<Record<string, keyof FrameMatch>> = {
	host: 'address', 'src host': 'source', 'dst host': 'destination', port: 'port', 'src port': 'sourcePort', 'dst port': 'destinationPort',
	'ether host': 'mac', 'ether src': 'sourceMac', 'ether dst': 'destinationMac', 'ether src host': 'sourceMac', 'ether dst host': 'destinationMac', vlan: 'vlan',
};

const form = 'A filter is made of ip, ip6, arp, tcp, udp, sctp, icmp, icmp6, [src|dst] host ADDRESS, [src|dst] port NUMBER, ether [src|dst] host MAC and vlan NUMBER, all of which must be true: "tcp port 80 and host 192.168.1.1".';

/**
 * Reads a filter: `tcp port 80 and host 192.168.1.1`. `and` may be left out, as between `tcp` and `port`.
 *
 * @throws `usage`, and what `checkMatch` throws
 */
export function parseFilter(text: string): FrameMatch {
	const words = text.split(/\s+/).filter((word) => word !== '' && word !== 'and' && word !== '&&');
	const match: Record<string, unknown> = {};
	const set = (part: FrameMatch): void => {
		for (const [field, value] of Object.entries(part)) {
			if (match[field] !== undefined && match[field] !== value) {
				throw failure.usage(`The filter \`${text}\` wants two things at once: ${match[field]} and ${value}`, form);
			}

			match[field] = value;
		}
	};

	for (let at = 0; at < words.length;) {
		const condition = plain[words[at]!];
		if (condition !== undefined) {
			set(condition);
			at += 1;
			continue;
		}

		const count = [3, 2, 1].find((length) => valued[words.slice(at, at + length).join(' ')] !== undefined);
		if (count === undefined) {
			throw unknownWord(text, words[at]!);
		}

		const phrase = words.slice(at, at + count).join(' ');
		const field = valued[phrase]!;
		const value = words[at + count];
		if (value === undefined) {
			throw failure.usage(`The filter \`${text}\` ends where \`${phrase}\` needs a value`, form);
		}

		set({[field]: field === 'vlan' || /[pP]ort$/.test(field) ? numberOf(text, phrase, value) : value});
		at += count + 1;
	}

	return checkMatch(match);
}

function numberOf(text: string, phrase: string, value: string): number {
	if (!/^\d+$/.test(value)) {
		throw failure.usage(`The filter \`${text}\` has \`${value}\` where the number of \`${phrase}\` must be`, form);
	}

	return Number(value);
}

function unknownWord(text: string, word: string): Error {
	if (['or', '||', 'not', '!'].includes(word) || /[()]/.test(word)) {
		return failure.usage(`The filter \`${text}\` has \`${word}\`, which filters of the fabric do not know`, `${form} For more, write all frames to a file and filter there (Wireshark, tshark -Y).`);
	}

	const meant = suggest(word, [...Object.keys(plain), 'host', 'port', 'ether', 'src', 'dst', 'vlan']);
	return failure.usage(`The filter \`${text}\` has the word \`${word}\`, which means nothing there`, meant === undefined ? form : `Did you mean \`${meant}\`? ${form}`);
}
