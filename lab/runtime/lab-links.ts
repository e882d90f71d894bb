/** The links of a lab that another process owns. */
import type {LinkReport} from '../fabric/link.ts';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import {askLabFor} from './lab-client.ts';

/** All links of a lab. Throws `supervisor-lost`, and what the lab says. */
export async function readLinks(lab: string, signal?: AbortSignal): Promise<readonly LinkReport[]> {
	return (await askLabFor(lab, {request: 'links'}, 'links', signal)).links;
}

/** Has its owner change what is set on a link of a lab, and gives what was set before. Throws like `readLinks`. */
export async function changeLink(lab: string, change: LinkChange, signal?: AbortSignal): Promise<LinkSetting> {
	return (await askLabFor(lab, {request: 'change-link', change}, 'link-changed', signal)).before;
}
