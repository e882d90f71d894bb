/** Where the Debian packages of an image come from: the mirror that the host is configured for. */
import {findProgram, run} from '../host/program.ts';

/** What apt is to be told for one release. */
export interface AptSources {
	/** `deb URI SUITE COMPONENT` lines, as in sources.list(5). */
	readonly sources: readonly string[];
	/** Lines of apt.conf(5): how the host reaches its mirrors (proxies, certificates, validity). May hold passwords. */
	readonly settings: readonly string[];
}

/** A configured index of packages, as `apt-get indextargets` tells it. */
export interface IndexTarget {
	readonly uri: string;
	readonly suite: string;
	readonly component: string;
	/** Empty where the lists were never fetched. */
	readonly origin: string;
}

/** What Debian itself recommends where nothing is configured. */
const defaultUris = {archive: 'http://deb.debian.org/debian', security: 'http://deb.debian.org/debian-security'} as const;

const targetFormat = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)';

/** Reads the host's configuration of apt; on a host without apt, Debian's own mirrors. */
export async function readAptSources(release: string, signal?: AbortSignal): Promise<AptSources> {
	if (await findProgram('apt-get') === undefined || await findProgram('apt-config') === undefined) {
		return {sources: sourceLines(release, []), settings: []};
	}

	const [targets, configuration] = await Promise.all([
		run('apt-get', ['indextargets', '--format', targetFormat, 'Created-By: Packages'], {signal}),
		run('apt-config', ['dump'], {signal}),
	]);
	return {sources: sourceLines(release, parseIndexTargets(targets.stdout)), settings: mirrorSettings(configuration.stdout)};
}

/** The answer of `apt-get indextargets` in our format; pure. What was not fetched yet has its fields unreplaced. */
export function parseIndexTargets(output: string): IndexTarget[] {
	return output.split('\n').filter((line) => line !== '').map((line) => {
		const [uri = '', suite = '', component = '', origin = ''] = line.split('|').map((field) => (field.startsWith('$(') ? '' : field));
		return {uri: uri.replace(/\/$/, ''), suite, component, origin};
	});
}

/**
 * The sources of a release; pure. Of the configured ones only Debian's own count (a mirror of Ubuntu has no Debian
 * releases, a vendor's repository no base system); they serve other releases than the host's as well.
 */
export function sourceLines(release: string, targets: readonly IndexTarget[]): string[] {
	const debian = targets.filter(({uri, component, origin}) =>
		component === 'main' && (origin === 'Debian' || (origin === '' && /\/debian(-security)?(\/|$)/.test(uri))));
	const isSecurity = ({suite}: IndexTarget): boolean => /-security$|\/updates$/.test(suite);
	const security = debian.find(isSecurity)?.uri;
	const archive = debian.find((target) => !isSecurity(target) && !/-(backports|proposed-updates)/.test(target.suite))?.uri;
	// A host that has a mirror of the archive, but no security updates, may be one that reaches nothing else.
	return [
		`deb ${archive ?? defaultUris.archive} ${release} main`,
		`deb ${archive ?? defaultUris.archive} ${release}-updates main`,
		...(archive !== undefined && security === undefined ? [] : [`deb ${security ?? defaultUris.security} ${release}-security main`]),
	];
}

/** Settings that say how mirrors are reached, of `apt-config dump`; pure. */
const mirrorSetting = /^Acquire::(?:(?:http|https|ftp)::|Check-Valid-Until |Check-Date |ForceIPv[46] |Retries )/;

/** The lines of apt.conf(5) that an image's build takes over from the host; pure. */
export function mirrorSettings(dump: string): string[] {
	const lines = dump.split('\n').filter((line) => mirrorSetting.test(line) && !line.endsWith(' "";'));
	return lines.some((line) => line.startsWith('Acquire::Retries ')) ? lines : ['Acquire::Retries "3";', ...lines];
}
