/** Spans of time as an SVG: a row each, on one axis. */
import {formatSeconds} from './duration.ts';
import type {Span} from './history.ts';
import {markup, type Markup} from './markup.ts';

/** One row of the timeline. */
export interface TimelineRow {
	readonly label: string;
	/** Of the row's colour: 'stage', 'machine', 'step'. */
	readonly kind: string;
	readonly state: Span['state'];
	/** Milliseconds since 1970. */
	readonly start: number;
	readonly end: number;
	/** Moments on the row worth a mark. */
	readonly marks?: ReadonlyArray<{readonly at: number; readonly label: string}>;
	readonly indent?: number;
}

/** Pixels. */
const labelWidth = 310;
const plotWidth = 560;
const rowHeight = 22;
const axisHeight = 26;
/** Of a character of a label, about. */
const characterWidth = 6.6;

/** Steps of the axis, in seconds; the first that gives few enough ticks is taken. */
const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Seconds from the start at which the axis has a tick, the last within the span. */
export function axisTicks(seconds: number, most = 8): number[] {
	const step = steps.find((candidate) => seconds / candidate <= most) ?? Math.ceil(seconds / most / 3600) * 3600;
	return Array.from({length: Math.floor(seconds / step + 1e-9) + 1}, (_, index) => Math.round(index * step * 10) / 10);
}

/** '0', '30 s', '2 min': shorter than a duration in a sentence. */
function tickLabel(seconds: number): string {
	return seconds === 0 ? '0' : seconds < 60 ? `${seconds} s` : formatSeconds(seconds);
}

function shorten(text: string, width: number): string {
	const longest = Math.floor(width / characterWidth);
	const characters = [...text];
	return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : text;
}

/** The picture, or nothing without rows. The axis goes from the first start to the last end. */
export function timelinePicture(title: string, rows: readonly TimelineRow[]): Markup | undefined {
	if (rows.length === 0) {
		return undefined;
	}

	const start = Math.min(...rows.map((row) => row.start));
	const end = Math.max(start + 100, ...rows.map((row) => row.end));
	const x = (at: number): number => Math.round((labelWidth + ((at - start) / (end - start)) * plotWidth) * 10) / 10;
	const height = axisHeight + rows.length * rowHeight + 6;
	const ticks = axisTicks((end - start) / 1000).map((seconds) => markup`<line class="tick" x1="${x(start + seconds * 1000)}" y1="${axisHeight - 6}" x2="${x(start + seconds * 1000)}" y2="${height}"/><text class="tick-label" x="${x(start + seconds * 1000)}" y="${axisHeight - 11}">${tickLabel(seconds)}</text>`);
	const bars = rows.map((row, index) => {
		const y = axisHeight + index * rowHeight;
		const indent = (row.indent ?? 0) * 14;
		const width = Math.max(2, x(row.end) - x(row.start));
		const took = formatSeconds((row.end - row.start) / 1000);
		// Beside the bar where there is room, before it where there is none.
		const beside = x(row.end) + 60 < labelWidth + plotWidth + 70;
		return markup`<g><title>${row.label}: ${took}</title><text class="row-label" x="${indent}" y="${y + 15}">${shorten(row.label, labelWidth - indent - 12)}</text><rect class="bar ${row.kind} ${row.state}" x="${x(row.start)}" y="${y + 4}" width="${width}" height="${rowHeight - 8}" rx="2"/>${(row.marks ?? []).map(({at, label}) => markup`<line class="mark" x1="${x(at)}" y1="${y + 3}" x2="${x(at)}" y2="${y + rowHeight - 3}"><title>${label}</title></line>`)}<text class="took${beside ? '' : ' before'}" x="${beside ? x(row.end) + 5 : x(row.start) - 5}" y="${y + 15}">${took}</text></g>`;
	});
	const width = labelWidth + plotWidth + 75;
	return markup`<svg class="timeline" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">${ticks}${bars}</svg>`;
}
