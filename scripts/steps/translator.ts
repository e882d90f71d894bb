/** The translator of a lab with the overlay `nat64`: which one it is, and the lab with another one or none. */
import {claim, withinPrefix, type LabTopology, type MachineHandle, type StepContext} from 'vmlab';

/** RFC 6052, 2.1. */
export const wellKnownPrefix = '64:ff9b::/96';

/** What the lab's options say. */
export interface Nat64 {
	readonly translator: string;
	readonly dns64: string;
	readonly prefix: string;
	/** An IPv4 address within the prefix. */
	readonly within: (address: string) => string;
}

/** How the lab comes from IPv6 to IPv4. */
export function nat64Of(lab: LabTopology): Nat64 {
	const {translator, dns64, prefix} = lab.options['nat64'] ?? {};
	return {translator: String(translator), dns64: String(dns64), prefix: String(prefix), within: (address) => withinPrefix(String(prefix), address)};
}

/** The unit that the translator is. */
function unitOf({lab}: StepContext): string {
	return `vmlab-${nat64Of(lab).translator}.service`;
}

/** Runs `use` while nothing translates, and starts the translator again whatever happens. */
export async function withoutTranslator<Value>(context: StepContext, router: MachineHandle, use: () => Promise<Value>): Promise<Value> {
	await router.$`systemctl stop ${unitOf(context)}`;
	try {
		return await use();
	} finally {
		await router.$`systemctl start ${unitOf(context)}`;
	}
}

/** Runs `use` while the translator has another prefix, and gives it its own back whatever happens. */
export async function withPrefix<Value>(context: StepContext, router: MachineHandle, prefix: string, use: () => Promise<Value>): Promise<Value> {
	const {translator, prefix: own} = nat64Of(context.lab);
	const {stdout} = await router.$`grep -lrF ${own} /etc/vmlab --include=${`${translator}*`}`;
	const files = stdout.split('\n');
	const texts = await Promise.all(files.map(async (file) => router.readFile(file)));
	claim(files.length > 0, `no file of ${translator} on ${router.name} has the prefix ${own}`);
	try {
		for (const [index, file] of files.entries()) {
			await router.writeFile(file, otherPrefix(texts[index]!, own, prefix));
		}

		await router.$`systemctl restart ${unitOf(context)}`;
		return await use();
	} finally {
		for (const [index, file] of files.entries()) {
			await router.writeFile(file, texts[index]!);
		}

		await router.$`systemctl restart ${unitOf(context)}`;
	}
}

/** A file of a translator with another prefix. tayga's own IPv4 address is private, so that with the well-known prefix it has to be told an IPv6 address. */
function otherPrefix(text: string, own: string, prefix: string): string {
	return text.replaceAll(own, prefix).replace(/^ipv4-addr .*$/m, (line) => (prefix === wellKnownPrefix ? `${line}\nipv6-addr fd00:64::1` : line));
}
