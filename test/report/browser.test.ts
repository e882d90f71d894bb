/** The report in a real browser: what it draws is to be seen, and nothing else happens. */
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {htmlReport} from '../../lab/report/html.ts';
import type {TimedEvent} from '../../lab/event/event.ts';
import {type Page, withPage} from '../rig/browser.ts';
import {failedRun, hostileRun, passedRun} from './recorded-run.ts';

const sizes = [{width: 1280, height: 900}, {width: 390, height: 800}];

async function withReport(events: readonly TimedEvent[], size: {width: number; height: number}, use: (page: Page) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'report.html');
		await writeFile(file, htmlReport(events, {folder}));
		await withPage(file, size, use);
	});
}

/** Pairs of words of a picture that lie on each other, by more than a pixel. */
const overlaps = `[...document.querySelectorAll('svg')].flatMap((svg) => {
	const boxes = [...svg.querySelectorAll('text')].map((text) => ({said: text.textContent, box: text.getBoundingClientRect()})).filter(({said}) => said.trim() !== '');
	return boxes.flatMap((one, index) => boxes.slice(index + 1)
		.filter((other) => one.box.left < other.box.right - 1 && other.box.left < one.box.right - 1 && one.box.top < other.box.bottom - 1 && other.box.top < one.box.bottom - 1)
		.map((other) => one.said + ' | ' + other.said));
})`;

for (const size of sizes) {
	test.serial(`a report is as wide as its window of ${size.width} pixels, and its pictures are there and can be read`, async (t) => {
		t.timeout(10 * 60_000);
		for (const [events, error] of [[passedRun, 0], [failedRun, 1]] as const) {
			await withReport(events, size, async (page) => {
				t.true(await page.evaluate<number>('document.documentElement.scrollWidth') <= size.width);
				const pictures = await page.evaluate<Array<[number, number]>>('[...document.querySelectorAll(\'section[id] svg\')].map((svg) => [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])');
				t.is(pictures.length, 2, 'a timeline and a topology');
				t.true(pictures.every(([width, height]) => width > 200 && height > 50), JSON.stringify(pictures));
				t.deepEqual(await page.evaluate<string[]>(overlaps), []);
				t.is(await page.evaluate<number>('[...document.querySelectorAll(\'li.failed .error\')].filter((shown) => shown.getBoundingClientRect().height > 0).length'), error);
				t.is((await page.screenshot()).subarray(1, 4).toString(), 'PNG');
			});
		}
	});
}

test.serial('a report loads nothing, runs nothing and complains of nothing, whatever machines said', async (t) => {
	t.timeout(10 * 60_000);
	await withReport(hostileRun, sizes[0]!, async (page) => {
		t.is(page.requests.length, 1, page.requests.join(' '));
		t.regex(page.requests[0] ?? '', /report\.html$/);
		t.deepEqual(page.complaints, []);
		t.is(await page.evaluate<number>('document.scripts.length'), 0);
	});
});

test.serial('a script that had got into a report would not run, and would be told: this look can see it', async (t) => {
	t.timeout(10 * 60_000);
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'report.html');
		await writeFile(file, htmlReport(passedRun, {folder}).replace('</body>', '<script>document.title = "run"</script><img src="http://127.0.0.1:9/picture"></body>'));
		await withPage(file, sizes[0]!, async (page) => {
			t.not(await page.evaluate<string>('document.title'), 'run');
			t.true(page.complaints.length > 0);
		});
	});
});
