/** `npm run readme [-- EVENTS...]`: writes the README's tables; the times of scenarios from the events.jsonl of reports. */
import {overlayTable} from './overlay-table.ts';
import {writeSection} from './readme-section.ts';
import {rememberTimes, scenarioTable} from './scenario-table.ts';

for (const file of process.argv.slice(2)) {
	await rememberTimes(file);
}

await writeSection('overlays', await overlayTable());
await writeSection('scenarios', await scenarioTable());
