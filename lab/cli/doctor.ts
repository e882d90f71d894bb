/** `vmlab doctor`: all findings at once, and with --fix their cure. */
import chalk from 'chalk';
import type {Finding} from '../host/doctor/finding.ts';
import {failure} from '../host/failure.ts';
import {hasColor} from '../report/terminal.ts';
import {cure} from './cure.ts';
import {examine} from './examination.ts';
import {print, say} from './output.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

const marks: Readonly<Record<Finding['status'], string>> = {ok: '✔', warning: '!', problem: '✖'};
const colors: Readonly<Record<Finding['status'], (text: string) => string>> = {ok: chalk.green, warning: chalk.yellow, problem: chalk.red};

/** The findings as lines: those that need nothing first said in short, each with what to do about it. */
export function renderFindings(findings: readonly Finding[], color: boolean): string {
	return findings.map(({id, status, text, advice}) => {
		const mark = color ? colors[status](marks[status]) : marks[status];
		return `${mark} ${id.padEnd(15)} ${text}\n${advice === undefined ? '' : `${' '.repeat(18)}→ ${advice}\n`}`;
	}).join('');
}

export const verb = defineVerb({
	options: (command) => addSettings(command
		.positional('scenario', {type: 'string', describe: 'Check for the lab of this scenario', defaultDescription: 'ipv4'})
		.option('fix', {type: 'boolean', default: false, describe: 'Install what is missing'})),
	async run({scenario, set, fix}, {output, signal}) {
		let findings = await examine({scenario, set, signal});
		if (fix && await cure(findings, {signal, say})) {
			findings = await examine({scenario, set, signal});
		}

		await print(output, findings, (all) => renderFindings(all, hasColor(process.stdout)));
		const problems = findings.filter(({status}) => status === 'problem');
		if (problems.length > 0) {
			throw failure.hostNotReady(problems.map(({text}) => text));
		}
	},
});
