/**
 * The catalogue of everything that can go wrong: one named factory for each, so that a message is written once, has a
 * stable code, and the right exit code.
 */
import {type FailureDescription, LabError, type SourcePlace} from './error.ts';
import {suggest} from './suggestion.ts';

/** A command in one line, cut where it is long. */
function shortened(command: string): string {
	const words = command.trim().replaceAll(/\s+/g, ' ');
	return words.length > 160 ? `${words.slice(0, 160)}...` : words;
}

/** `a, b and c` */
function list(names: readonly string[]): string {
	return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export const failure = {
	/** A duration, size, address or option in a declaration does not parse. */
	badValue(kind: string, value: string, wanted: string, where?: SourcePlace): LabError {
		return new LabError({
			code: 'bad-value', kind: 'declaration', message: `\`${value}\` is not a ${kind}`, hint: `Write ${wanted}.`,
			...(where && {where}),
		});
	},

	/** A declaration does not have the shape it must have; all its problems at once. */
	badDeclaration(what: string, problems: readonly string[], where?: SourcePlace): LabError {
		return new LabError({
			code: 'bad-declaration', kind: 'declaration', message: `The declaration of ${what} is wrong`, details: problems,
			hint: 'Correct the lines named above.', ...(where && {where}),
		});
	},

	/** A name that nothing has: an overlay, image, scenario, machine, capability. Lists the known ones, the likeliest first. */
	unknownName(kind: string, name: string, known: readonly string[], where?: SourcePlace): LabError {
		const meant = suggest(name, known);
		return new LabError({
			code: `unknown-${kind.replaceAll(' ', '-')}`, kind: 'declaration', message: `There is no ${kind} \`${name}\``,
			hint: known.length === 0 ? `No ${kind} is known.` : `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}Known: ${list(known)}.`, ...(where && {where}),
		});
	},

	/** A user's file cannot be read as a declaration: it does not parse, throws, or lacks its default export. */
	brokenDeclaration(file: string, reason: string, where: SourcePlace, hint?: string, cause?: unknown): LabError {
		return new LabError({
			code: 'broken-declaration', kind: 'declaration', message: `${file} cannot be loaded: ${reason}`, where, cause, ...(hint && {hint}),
		});
	},

	/** Overlays that need one another in a circle: `['a', 'b', 'a']`. */
	overlayCycle(cycle: readonly string[]): LabError {
		return new LabError({
			code: 'overlay-cycle', kind: 'declaration', message: `Overlays need each other in a circle: ${cycle.join(' -> ')}`,
			hint: 'Take one of these needs away.',
		});
	},

	/** A capability that an overlay needs is provided by none of the lab's overlays. */
	capabilityMissing(capability: string, neededBy: string, providers: readonly string[], known: readonly string[]): LabError {
		return new LabError({
			code: 'capability-missing', kind: 'declaration', message: `Overlay \`${neededBy}\` needs \`${capability}\`, which is no overlay, and no overlay of the lab provides it`,
			hint: providers.length === 0 ? `No overlay provides it. Known overlays: ${list(known)}.` : `Add an overlay that does to the lab: ${list(providers)}.`,
		});
	},

	/** One capability, several providers. */
	capabilityTwice(capability: string, providers: readonly string[]): LabError {
		return new LabError({
			code: 'capability-twice', kind: 'declaration', message: `The overlays ${list(providers)} all provide \`${capability}\`, and a lab has only one`,
			hint: 'Take all but one out of the lab, or choose one by the option of the overlay that needs it.',
		});
	},

	/** Overlays that write one path, or set one thing differently. */
	overlayCollision(problems: readonly string[]): LabError {
		return new LabError({
			code: 'overlay-collision', kind: 'declaration', message: problems.length === 1 ? problems[0]! : `Overlays collide in ${problems.length} places`,
			...(problems.length > 1 && {details: problems}),
			hint: 'Where one is meant to win, name the path in its `replaces`.',
		});
	},

	/** A program of the host ended badly. Output is its last lines. */
	programFailed(command: string, outcome: string, output: readonly string[], log?: string): LabError {
		return new LabError({
			code: 'program-failed', kind: 'host', message: `\`${command}\` ${outcome}`, details: output, ...(log && {log}),
		});
	},

	/** A program that the host needs is missing. */
	programMissing(program: string, hint: string): LabError {
		return new LabError({code: 'program-missing', kind: 'host', message: `\`${program}\` is not installed`, hint});
	},

	/** No room left where something was being written. */
	diskFull(path: string, cause?: unknown): LabError {
		return new LabError({
			code: 'disk-full', kind: 'host', message: `No space is left on the disk of ${path}`,
			hint: 'Make room (`vmlab cache prune` removes what no recent lab used) and run it again: what was built is kept.', cause,
		});
	},

	/** What a capture is written to takes no more; without a file it is standard output. */
	captureNotWritten(file: string | undefined, cause: NodeJS.ErrnoException): LabError {
		const place = file ?? 'standard output';
		return new LabError({
			code: 'capture-not-written', kind: 'host', message: cause.code === 'ENOSPC' ? `No space is left for the capture in ${place}` : `The capture cannot be written to ${place} any more: ${cause.code ?? cause.message}`,
			hint: 'What was written before can be read. A filter, --snaplen or another disk makes room.', cause,
		});
	},

	/** Data for standard output that could not be written there. */
	outputNotWritten(cause: NodeJS.ErrnoException): LabError {
		return new LabError({
			code: 'output-not-written', kind: 'host', message: cause.code === 'ENOSPC' ? 'No space is left where standard output goes' : `Standard output takes no more: ${cause.code ?? cause.message}`, cause,
		});
	},

	/** A capture that ended before what it left out was told. */
	captureCut(lab: string, captured: number): LabError {
		return new LabError({
			code: 'capture-cut', kind: 'machine', message: `The capture of ${lab} was cut off after ${captured} frames, and how many were left out is not known`,
			hint: 'The lab ended meanwhile, or what was captured was read too slowly when it ended. What was written can be read, but for its very end.',
		});
	},

	/** A program that makes a stage ended badly. */
	stageFailed(stage: string, cause: LabError, log: string): LabError {
		return new LabError({
			code: 'stage-failed', kind: 'component', message: `The stage \`${stage}\` could not be made: ${cause.message}`, details: cause.details,
			hint: 'The whole output is in the log. What was made before it is kept: run it again when the cause is gone.', log, cause,
		});
	},

	/** Somebody else has a lock that is not waited for. */
	locked(file: string, holder: string): LabError {
		return new LabError({
			code: 'locked', kind: 'host', message: `${holder} holds the lock ${file}`, hint: 'Wait until it is done, and run this again.',
		});
	},

	/** The user, or a signal, ended it. */
	interrupted(signal: string): LabError {
		return new LabError({code: 'interrupted', kind: 'interrupted', message: `Interrupted by ${signal}`});
	},

	/** A wait ran out. */
	waitExpired(sentence: string, seconds: number, last: string, cause?: unknown): LabError {
		return new LabError({
			code: 'wait-expired', kind: 'timeout', message: `${sentence}: not within ${Math.round(seconds)} s`,
			details: [`last seen: ${last}`], cause,
		});
	},

	/** A command of a scenario ended with another exit code than it should: the claim failed. `last` is the end of its output. */
	commandFailed(command: string, where: string, outcome: string, last: readonly string[], place?: SourcePlace): LabError {
		const end = last.at(-1);
		return new LabError({
			code: 'command-failed', kind: 'scenario', message: `\`${shortened(command)}\` on ${where} ${outcome}${end === undefined ? '' : `: ${end}`}`,
			details: last, ...(place && {where: place}),
		});
	},

	/** A command of a scenario was ended because the wait around it was over: what it would have said is not known. */
	commandCutShort(command: string, where: string): LabError {
		return new LabError({
			code: 'command-cut-short', kind: 'scenario', message: `\`${shortened(command)}\` on ${where} did not end before the wait around it did`,
		});
	},

	/** A step's claim does not hold. */
	stepFailed(step: string, message: string, details: readonly string[], place?: SourcePlace, cause?: unknown): LabError {
		return new LabError({
			code: 'step-failed', kind: 'scenario', message: `${step}: ${message}`, details, ...(place && {where: place}), cause,
		});
	},

	/** A negative control: what must not work does. */
	notRefuted(sentence: string, place?: SourcePlace): LabError {
		return new LabError({
			code: 'not-refuted', kind: 'scenario', message: `Negative control: nothing failed, so a pass of the same check proves nothing: ${sentence}`,
			hint: 'Look for another way that the packets take, or for something left over from before.', ...(place && {where: place}),
		});
	},

	/** A scenario has no variant of that name. */
	unknownVariant(scenario: string, variant: string, known: readonly string[]): LabError {
		const meant = suggest(variant, known);
		return new LabError({
			code: 'unknown-variant', kind: 'declaration', message: `The scenario ${scenario} has no variant \`${variant}\``,
			hint: known.length === 0 ? 'It has none.' : meant === undefined ? `It has ${list(known)}.` : `Did you mean \`${meant}\`?`,
		});
	},

	/** A network that the lab does not have. */
	unknownNetwork(name: string, known: readonly string[]): LabError {
		const meant = suggest(name, known);
		return new LabError({
			code: 'unknown-network', kind: 'usage', message: `The lab has no network \`${name}\``,
			hint: meant === undefined ? `It has ${list(known)}.` : `Did you mean \`${meant}\`?`,
		});
	},

	/** A frame of a family that its network does not carry. `when` is a clause. */
	foreignFrame(network: string, families: readonly string[], machine: string, when: string, summary: string, bytes: string): LabError {
		return new LabError({
			code: 'foreign-frame', kind: 'scenario', message: `The network ${network} is for ${list(families)} alone, and ${machine} has sent another frame on it, ${when}: ${summary}`,
			details: [`the frame begins with ${bytes}`], hint: 'Look on that machine for an address, a route or a daemon of the other family.',
		});
	},

	/** Frames that a claim is about are no more recorded. Links are those that lack some, each with what is missing as a clause. */
	recordingCut(since: Date, links: readonly string[]): LabError {
		return new LabError({
			code: 'recording-cut', kind: 'scenario', message: `Not all frames since ${since.toISOString()} are recorded any more, so nothing can be said of what crossed the links`,
			details: links, hint: 'Ask sooner after what is to be seen, or for a later moment (`since`); `partial` takes what there is.',
		});
	},

	/** A step wants one flow, and there are none or several; the lines show them, or what there is instead. `wanted` is what was asked for, in words. */
	flowNotClear(wanted: string, count: number, lines: readonly string[]): LabError {
		return new LabError({
			code: count === 0 ? 'no-such-flow' : 'several-flows', kind: 'scenario', message: count === 0 ? `No flow crossed the links that is ${wanted}` : `${count} flows crossed the links that are ${wanted}, and one was wanted`,
			details: lines, ...(count > 1 && {hint: 'Ask for more that only the one has, such as its source port, or for all of them with `flows`.'}),
		});
	},

	/** The change that should have turned a step red did not. */
	mutationSurvived(summary: string, red: string): LabError {
		return new LabError({
			code: 'mutation-survived', kind: 'scenario', message: `The scenario passed though ${summary}: "${red}" should have failed`,
			hint: 'The step does not see what it is there for; or the change is not made, or comes too late.',
		});
	},

	/** The change turned something else red. `reason` is a clause. */
	mutationMissed(summary: string, red: string, reason: string, cause: LabError): LabError {
		return new LabError({
			code: 'mutation-missed', kind: 'scenario', message: `While ${summary}, "${red}" should have failed for that cause; ${reason}`,
			details: [cause.message, ...cause.details], ...(cause.where && {where: cause.where}), cause,
		});
	},

	/** A scenario without a step proves nothing. */
	noSteps(scenario: string): LabError {
		return new LabError({
			code: 'no-steps', kind: 'scenario', message: `The scenario ${scenario} has no steps`, hint: 'Call `step(title, async () => ...)` at least once.',
		});
	},

	/** A step is called in a way that the report could not tell. */
	stepMisused(step: string, problem: string, hint: string, place?: SourcePlace): LabError {
		return new LabError({
			code: 'step-misused', kind: 'declaration', message: `The step "${step}" ${problem}`, hint, ...(place && {where: place}),
		});
	},

	/** Something failed that a scenario had started and did not wait for. */
	notAwaited(cause: LabError): LabError {
		return new LabError({
			code: 'not-awaited', kind: 'declaration', message: `Something failed that the scenario did not wait for: ${cause.message}`, details: cause.details,
			hint: 'An `await` is missing before a command, a wait or a claim.', ...(cause.where && {where: cause.where}), cause,
		});
	},

	/** A scenario took longer than its budget. Seconds. */
	budgetExceeded(scenario: string, seconds: number, running: readonly string[]): LabError {
		return new LabError({
			code: 'budget-exceeded', kind: 'timeout',
			message: `The scenario ${scenario} was not done within its budget of ${Math.round(seconds)} s${running.length === 0 ? '' : `, in the step "${running.join(' / ')}"`}`,
			hint: 'See what the step was waiting for; raise `budget` only if each step was still getting on.',
		});
	},

	/** A machine cannot be talked to any more: the machine broke, not the claim. */
	machineBroke(machine: string, problem: string, cause?: unknown): LabError {
		return new LabError({
			code: 'machine-broke', kind: 'machine', message: `The machine ${machine} broke: ${problem}`,
			hint: `Look at its console: \`vmlab logs ${machine}\`, or console.log in the evidence.`, cause,
		});
	},

	/** Something of a cluster is asked of a lab that has none. */
	noCluster(lab: string, missing: string): LabError {
		return new LabError({
			code: 'no-cluster', kind: 'declaration', message: `The lab ${lab} has no cluster to talk to: it has no ${missing}`,
			hint: 'Add the overlay `kubernetes` to the lab.',
		});
	},

	/** QEMU ended when nobody asked it to. Words are the last lines that it wrote. */
	machineExited(machine: string, outcome: string, words: readonly string[], log: string, hint?: string): LabError {
		return new LabError({
			code: 'machine-exited', kind: 'machine', message: `The machine ${machine} ended ${outcome}`, details: words, log,
			hint: hint ?? 'The lines above are what QEMU said; the log has more.',
		});
	},

	/** Something is wanted of a machine that is off, or paused, on purpose. */
	machineStandsStill(machine: string, state: 'off' | 'paused'): LabError {
		const [verb, call] = state === 'off' ? ['start', 'start()'] : ['resume', 'resume()'];
		return new LabError({
			code: 'machine-stands-still', kind: 'usage', message: `The machine ${machine} is ${state}`, hint: `\`${call}\` in a step, or \`vmlab machine ${verb}\`, ends that.`,
		});
	},

	/** A machine was waited for, and was reset or powered on once more meanwhile. */
	machineBeganAnew(machine: string): LabError {
		return new LabError({code: 'machine-began-anew', kind: 'usage', message: `The machine ${machine} was started once more before it was ready`});
	},

	/** A machine did not do what makes a fault, or ends one. Words are the last lines of what it said. */
	faultFailed(machine: string, doing: string, words: readonly string[]): LabError {
		return new LabError({
			code: 'fault-failed', kind: 'machine', message: `The machine ${machine} could not ${doing}${words.length === 0 ? '' : `: ${words.at(-1)}`}`, details: words.slice(0, -1),
		});
	},

	/** A lab is to be kept while something is wrong with its machines on purpose. Each is told as `MACHINE: FAULT`. */
	faultsInForce(lab: string, faults: readonly string[]): LabError {
		return new LabError({
			code: 'faults-in-force', kind: 'usage', message: `The lab ${lab} cannot be frozen while its machines are not as they should be: ${list(faults)}`,
			hint: `End what is wrong on purpose: \`recover()\` in a step, or \`vmlab machine recover ${lab}\`. Wait for a machine that is coming up: \`ready()\` in a step, or until \`vmlab machine list ${lab}\` says so.`,
		});
	},

	/** A port of this computer that a forward wants is in use. */
	portTaken(port: number, machine: string, log?: string): LabError {
		return new LabError({
			code: 'port-taken', kind: 'machine', message: `Port ${port} of this computer, which the machine ${machine} is to answer on, is in use`,
			hint: `Find who has it with \`ss -ltnp 'sport = :${port}'\`, or choose another one.`, ...(log && {log}),
		});
	},

	/** QEMU's monitor is gone, silent, or speaks something else. */
	monitorLost(machine: string, reason: string): LabError {
		return new LabError({code: 'monitor-lost', kind: 'machine', message: `QEMU's monitor of the machine ${machine} was lost: ${reason}`});
	},

	/** QEMU's monitor answered a command with an error. Class is QMP's, such as CommandNotFound. */
	monitorRefused(machine: string, command: string, description: string, errorClass: string): LabError {
		return new LabError({
			code: 'monitor-refused', kind: 'machine', message: `QEMU refused \`${command}\` for the machine ${machine}: ${description}`,
			details: [`class ${errorClass}`],
		});
	},

	/** Somebody else than the machine answers on its ssh port. */
	hostKeyMismatch(machine: string, port: number): LabError {
		return new LabError({
			code: 'host-key-mismatch', kind: 'machine',
			message: `What answers on 127.0.0.1:${port} is not the machine ${machine}: it has another host key than the lab gave it`,
			hint: 'Take the lab down and start it again.',
		});
	},

	/** The machine's ssh server does not take the lab's key. */
	sshRefused(machine: string, reason: string): LabError {
		return new LabError({
			code: 'ssh-refused', kind: 'machine', message: `The machine ${machine} refused the lab's ssh key: ${reason}`,
			hint: 'Look at its console: the lab\'s public key should be in /root/.ssh/authorized_keys.',
		});
	},

	/** The ssh connection to a machine ended or a channel of it could not be had. */
	sshLost(machine: string, reason: string, cause?: unknown): LabError {
		return new LabError({
			code: 'ssh-lost', kind: 'machine', message: `The ssh connection to the machine ${machine} was lost: ${reason}`,
			hint: 'Look at its console: it may have crashed or be out of memory.', cause,
		});
	},

	/** A command on a machine wrote more than is taken. Bytes. */
	outputTooLong(machine: string, command: string, limit: number): LabError {
		return new LabError({
			code: 'output-too-long', kind: 'scenario', message: `\`${command}\` on ${machine} wrote more than ${Math.round(limit / 1024 ** 2)} MiB`,
			hint: 'Write it to a file on the machine and fetch that.',
		});
	},

	/** A command on a machine did not end in time. Seconds. */
	commandTimedOut(machine: string, command: string, seconds: number, last: readonly string[]): LabError {
		return new LabError({
			code: 'command-timed-out', kind: 'timeout', message: `\`${command}\` on ${machine} did not end within ${Math.round(seconds)} s`, details: last,
		});
	},

	/** A file could not be copied to or from a machine. */
	copyFailed(machine: string, file: string, reason: string, hint?: string): LabError {
		return new LabError({
			code: 'copy-failed', kind: 'machine', message: `${file} could not be copied to or from the machine ${machine}: ${reason}`, ...(hint && {hint}),
		});
	},

	/** The user-space switch of a lab failed. */
	fabricFailed(reason: string, cause?: unknown): LabError {
		return new LabError({code: 'fabric-failed', kind: 'machine', message: `The fabric failed: ${reason}`, cause});
	},

	/** One provider cannot deliver a component; the next one is asked. The reason is a clause. */
	notProvided(provider: string, reason: string, details: readonly string[] = [], log?: string): LabError {
		return new LabError({
			code: 'not-provided', kind: 'component', message: `${provider}: ${reason}`, details, ...(log && {log}),
		});
	},

	/** No provider has a component at that version. Tried is one line for each, with why it failed. */
	componentMissing(name: string, version: string, tried: readonly string[], log: string): LabError {
		return new LabError({
			code: 'component-missing', kind: 'component', message: `${name} ${version} could not be had: all ${tried.length} ways to it failed`, details: tried, log,
			hint: `Remove one of the reasons above, choose another version, or name a folder with your own build (\`--set ${name}.dir=\`, where the overlay has that option).`,
		});
	},

	/** The folder of a developer's own build does not have what it must have. */
	localBuildIncomplete(name: string, folder: string, problems: readonly string[]): LabError {
		return new LabError({
			code: 'local-build-incomplete', kind: 'component', message: `The folder ${folder} has no complete build of ${name}`, details: problems,
			hint: 'Build the programs named above into that folder, or take the option away to use the pinned version.',
		});
	},

	/** What was downloaded is not what was published. Sums are hex sha256. */
	checksumMismatch(source: string, wanted: string, found: string, published: string): LabError {
		return new LabError({
			code: 'checksum-mismatch', kind: 'component', message: `${source} does not have its published checksum`,
			details: [`published sha256: ${wanted} (${published})`, `downloaded sha256: ${found}`],
			hint: 'Nothing of it was used. Try again; if it stays so, something between here and there changes downloads.',
		});
	},

	/** Go found that a module is not what its checksum says. Output is Go's own. */
	moduleMismatch(name: string, output: readonly string[], log?: string): LabError {
		return new LabError({
			code: 'module-mismatch', kind: 'component', message: `A Go module of ${name} does not have the checksum that go.sum or the checksum database has`, details: output, ...(log && {log}),
			hint: 'Nothing of it was used. If go.sum is your own, see whether the line named above is right.',
		});
	},

	/** A container image cannot be had from its source. */
	containerImageMissing(reference: string, reason: string, hint: string, details: readonly string[] = [], cause?: unknown): LabError {
		return new LabError({
			code: 'container-image-missing', kind: 'component', message: `The container image ${reference} could not be had: ${reason}`, details, hint, cause,
		});
	},

	/** The words of the command line make no sense. */
	usage(message: string, hint?: string): LabError {
		return new LabError({code: 'usage', kind: 'usage', message, ...(hint && {hint})});
	},

	/** Options of the command line that no overlay of the lab takes: one problem a line. */
	badSettings(problems: readonly string[]): LabError {
		return new LabError({code: 'bad-setting', kind: 'usage', message: 'What `--set` asks for cannot be', details: problems, hint: '`vmlab overlay show NAME` has the options of an overlay.'});
	},

	/** Packages that vmlab cannot install itself. `advice` is the whole sentence on how to. */
	installByHand(distribution: string, packages: readonly string[], advice: string): LabError {
		return new LabError({
			code: 'install-by-hand', kind: 'host', message: `vmlab cannot install packages on ${distribution}`, details: [`missing: ${packages.join(' ')}`], hint: advice,
		});
	},

	/** The doctor found what keeps vmlab from working; its findings were printed. */
	hostNotReady(problems: readonly string[]): LabError {
		return new LabError({
			code: 'host-not-ready', kind: 'host', message: 'This computer is not ready for vmlab', details: problems,
			hint: 'Do what the lines above say, or let `vmlab doctor --fix` install what is missing.',
		});
	},

	/** No lab of that name runs. `last` says why it does not any more, where that is known. */
	noSuchLab(lab: string, running: readonly string[], last?: {readonly details: readonly string[]; readonly log: string}): LabError {
		const meant = suggest(lab, running);
		return new LabError({
			code: 'no-such-lab', kind: 'usage', message: `No lab \`${lab}\` runs`, ...last,
			hint: running.length === 0 ? 'No lab runs; `vmlab up SCENARIO` starts one.' : `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}These run: ${list(running)}.`,
		});
	},

	/** Which lab is meant is not clear: none runs, or several do. */
	labNotClear(running: readonly string[]): LabError {
		return new LabError({
			code: 'lab-not-clear', kind: 'usage', message: running.length === 0 ? 'No lab runs' : 'Several labs run, and none is named',
			hint: running.length === 0 ? 'Start one with `vmlab up SCENARIO`.' : `Name one of ${list(running)}.`,
		});
	},

	/** A lab of that name lives. */
	labRuns(lab: string, state: string): LabError {
		return new LabError({
			code: 'lab-runs', kind: 'usage', message: `A lab \`${lab}\` is there already: it is ${state}`,
			hint: `End it with \`vmlab down ${lab}\`. \`vmlab up --name\` and \`vmlab fork --lab\` give the new one another name; \`vmlab run\` takes the scenario's.`,
		});
	},

	/** A lab of that name lives, and is made of something else than what is wanted. */
	labDiffers(lab: string, scenario: string | undefined): LabError {
		return new LabError({
			code: 'lab-differs', kind: 'usage',
			message: `A lab \`${lab}\` is there already, and is another one${scenario === undefined ? '' : `: of the scenario ${scenario}, as that was when it was started`}`,
			hint: `Other options, an edited overlay or another scenario make another lab. End it with \`vmlab down ${lab}\`, or give the new one another name with \`--name\`.`,
		});
	},

	/** The machines' memory fits nowhere. Sizes as a person reads them. */
	noRoomForMemory(needed: string, places: readonly string[]): LabError {
		return new LabError({
			code: 'no-room-for-memory', kind: 'host', message: `There is no room for the ${needed} of memory of the lab's machines`, details: places,
			hint: 'Make room in one of these, end another lab, or declare less memory.',
		});
	},

	/** A machine did not get as far as its ssh server. Seconds; `tail` is the end of its console. */
	machineSilent(machine: string, seconds: number, last: string, tail: readonly string[], log?: string): LabError {
		return new LabError({
			code: 'machine-silent', kind: 'machine', message: `The machine ${machine} did not answer over ssh within ${Math.round(seconds)} s`,
			details: [`last seen: ${last}`, 'the end of its console:', ...tail], hint: 'Its console says how far it came.', ...(log && {log}),
		});
	},

	/** The kernel of a machine, or its first process, gave up. `tail` is the end of its console. */
	machineCrashed(machine: string, line: string, tail: readonly string[], log?: string): LabError {
		return new LabError({
			code: 'machine-crashed', kind: 'machine', message: `The machine ${machine} crashed: ${line}`,
			details: ['the end of its console:', ...tail], ...(log && {log}),
		});
	},

	/** A condition for a machine to be ready was not met. Seconds; `tail` is the end of its console. */
	machineNotReady(machine: string, sentence: string, seconds: number, last: string, tail: readonly string[], log?: string): LabError {
		return new LabError({
			code: 'machine-not-ready', kind: 'cluster', message: `The machine ${machine} did not become ready: ${sentence}: not within ${Math.round(seconds)} s`,
			details: [`last seen: ${last}`, 'the end of its console:', ...tail],
			hint: 'The journals in the evidence say more; `vmlab up` and `vmlab ssh` show it live.', ...(log && {log}),
		});
	},

	/** A systemd unit that is needed failed, and is not started again. `sentence` is what was waited for; `journal` is the end of the unit's. */
	unitFailed(machine: string, unit: string, sentence: string, journal: readonly string[]): LabError {
		return new LabError({
			code: 'unit-failed', kind: 'machine', message: `${unit} failed on ${machine}, and systemd does not start it again`,
			details: [`while it was waited for: ${sentence}`, ...(journal.length === 0 ? ['its journal is empty'] : ['the end of its journal:', ...journal])],
			hint: 'Correct the unit, or what it starts, in its overlay, and run it again. The machine\'s whole journal is journal.txt in the evidence.',
		});
	},

	/** A systemd unit that an overlay enables is not on the machine. */
	unitMissing(machine: string, unit: string): LabError {
		return new LabError({
			code: 'unit-missing', kind: 'declaration', message: `There is no unit ${unit} on ${machine}, and an overlay of the machine enables it`,
			hint: 'Correct the name in the `units` of the overlay, or bring the unit: in the overlay\'s rootfs/usr/lib/systemd/system, in its `files`, or with a package.',
		});
	},

	/** A machine has no systemd unit of that name. */
	unknownUnit(machine: string, unit: string, known: readonly string[]): LabError {
		const meant = suggest(unit, known) ?? suggest(unit, known.map((name) => name.replace(/\.service$/, '')));
		return new LabError({
			code: 'unknown-unit', kind: 'usage', message: `The machine ${machine} has no unit \`${unit}\``,
			hint: meant === undefined ? `\`vmlab exec ${machine} -- systemctl list-unit-files\` shows those that it has.` : `Did you mean \`${meant}\`?`,
		});
	},

	/** The process that owns a lab ended without a word, or does not answer. */
	supervisorLost(lab: string, reason: string, last: readonly string[]): LabError {
		return new LabError({
			code: 'supervisor-lost', kind: 'bug', message: `The supervisor of the lab ${lab} was lost: ${reason}`, details: last,
			hint: `\`vmlab down ${lab}\` clears what is left.`,
		});
	},

	/** A machine ended by itself: `cause` says how QEMU did; `tail` is the end of the machine's console. */
	machineEnded(cause: LabError, tail: readonly string[], log?: string): LabError {
		return new LabError({
			...cause.toJSON(), details: [...cause.details, ...(tail.length === 0 ? [] : ['the end of its console:', ...tail])], cause, ...(log && {log}),
		});
	},

	/** The same failure, whose log is elsewhere by now, or gone. */
	withLog(error: LabError, log: string | undefined): LabError {
		const {log: _log, ...rest} = error.toJSON();
		return error.log === log ? error : new LabError({...rest, cause: error, ...(log && {log})});
	},

	/** The same failure, with more of what was seen. */
	withDetails(error: LabError, details: readonly string[]): LabError {
		return new LabError({...error.toJSON(), details: [...error.details, ...details], cause: error});
	},

	/** A failure that another process described. */
	told(description: FailureDescription): LabError {
		return new LabError(description);
	},

	/** A machine that was forked does not go on. Seconds; `last` is what was last heard of it. */
	forkSilent(machine: string, seconds: number, last: string): LabError {
		return new LabError({
			code: 'fork-silent', kind: 'machine', message: `The machine ${machine} was forked and did not take its new random numbers within ${Math.round(seconds)} s`,
			details: [`last seen: ${last}`], hint: 'Its overlays must include `base`, which listens for them; `--cold` boots the lab.',
		});
	},

	/** At the time that a fork goes on from, certificates that it was frozen with are not valid: a clause for each. */
	certificateNotValid(time: Date, certificates: readonly string[]): LabError {
		return new LabError({
			code: 'certificate-not-valid', kind: 'host', message: `The lab cannot go on at ${time.toISOString()}: certificates that it was frozen with are not valid then`,
			details: certificates, hint: 'Leave `--clock` out, or choose a time in between; a lab that is booted (`--cold`) has new ones.',
		});
	},

	/** A unit of a fork that must not go on as it was frozen does not start again. `said` is what systemd, or nobody, said of it. */
	forkRestartFailed(machine: string, units: readonly string[], said: string): LabError {
		return new LabError({
			code: 'fork-restart-failed', kind: 'machine', message: `The machine ${machine} was forked, and ${units.join(', ')} could not be restarted there`,
			details: [said], hint: 'An overlay names it in `restartInForks`: in a fork it would go on with the random numbers of its siblings. `--cold` boots the lab.',
		});
	},

	/** A kept lab of that name is there already. */
	frozenNameTaken(name: string): LabError {
		return new LabError({
			code: 'frozen-name-taken', kind: 'usage', message: `There is a frozen lab \`${name}\` already`, hint: 'Choose another name; `vmlab cache list` shows those that there are.',
		});
	},

	/** No lab was kept under that name by `vmlab freeze`, or as a checkpoint. */
	noSuchFrozenLab(kind: 'frozen' | 'checkpoint', name: string, known: readonly string[]): LabError {
		const meant = suggest(name, known);
		if (kind === 'checkpoint') {
			return new LabError({
				code: 'no-such-checkpoint', kind: 'usage', message: `There is no checkpoint \`${name}\``,
				hint: known.length === 0 ? 'None is kept: `vmlab run SCENARIO --checkpoint` keeps one before each step, and tells its name, RUN/STEP.'
					: `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}There are ${list(known)}.`,
			});
		}

		return new LabError({
			code: 'no-such-frozen-lab', kind: 'usage', message: `There is no frozen lab \`${name}\``,
			hint: known.length === 0 ? 'None is kept: `vmlab freeze LAB NAME` keeps one.' : `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}There are ${list(known)}.`,
		});
	},

	/** Nothing in the cache is named so, or several things are. `candidates` are these, or those that can be named. */
	stageNotClear(name: string, several: boolean, candidates: readonly string[]): LabError {
		const meant = several ? undefined : suggest(name, candidates);
		return new LabError({
			code: 'stage-not-clear', kind: 'usage', message: several ? `Several stages of the cache are \`${name}\`` : `Nothing in the cache is \`${name}\``,
			...(several && {details: candidates}),
			hint: several ? 'Name more of the key of the one that is meant.'
				: `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}Name what \`vmlab freeze\` kept, a checkpoint (RUN/STEP), or the beginning of a key; \`vmlab cache list\` shows them.`,
		});
	},

	/** Stages that were to be removed are in use: each with by whom, as a clause. */
	stageInUse(stages: readonly string[]): LabError {
		return new LabError({
			code: 'stage-in-use', kind: 'usage', message: `${stages.length === 1 ? 'A stage is' : `${stages.length} stages are`} in use, and not removed`, details: stages,
			hint: 'End the lab or the command that uses it (`vmlab list`), or remove what was frozen with it first.',
		});
	},

	/** A kept lab cannot go on here: what it runs on is not what it was frozen with. */
	frozenLabStale(name: string, changes: readonly string[]): LabError {
		return new LabError({
			code: 'frozen-lab-stale', kind: 'host', message: `The frozen lab \`${name}\` cannot go on here`, details: changes,
			hint: 'Bring back what changed, or start the lab anew and freeze it again.',
		});
	},

	/** A frozen lab is not whole. */
	frozenLabBroken(folder: string, reason: string, cause?: unknown): LabError {
		return new LabError({
			code: 'frozen-lab-broken', kind: 'host', message: `The frozen lab in ${folder} is broken: ${reason}`,
			hint: 'Remove the folder that it is in. What `vmlab freeze` kept is to be frozen again; else it is made again when it is needed.', cause,
		});
	},

	/** The build of an image failed. `lines` say why. */
	imageFailed(release: string, lines: readonly string[], hint: string, log?: string, cause?: unknown): LabError {
		return new LabError({
			code: 'image-failed', kind: 'component', message: `The image of Debian ${release} could not be built`, details: lines, hint, ...(log && {log}), cause,
		});
	},

	/** Kernel modules could not be built for the kernel of an image. `lines` say why. */
	modulesFailed(packages: readonly string[], kernel: string, lines: readonly string[], hint: string, log?: string, cause?: unknown): LabError {
		return new LabError({
			code: 'modules-failed', kind: 'component', message: `The kernel modules of ${packages.join(' and ')} could not be built for kernel ${kernel}`,
			details: lines, hint, ...(log && {log}), cause,
		});
	},

	/** Kernel modules that were made before are for another kernel than the image has now. */
	modulesOutdated(stage: string, built: string, image: string, kernel: string): LabError {
		return new LabError({
			code: 'modules-outdated', kind: 'component', message: `The stage "${stage}" was built for kernel ${built}, and "${image}" was made again since, with kernel ${kernel}`,
			hint: 'No machine could load the modules. `vmlab cache prune --unused 0s` removes what nobody uses; then run it again, and all is made anew.',
		});
	},

	/** Nothing on this host can build an image. */
	noImageBuilder(): LabError {
		return new LabError({
			code: 'no-image-builder', kind: 'host', message: 'Nothing here can build an image: mmdebstrap cannot run, and no Docker daemon answers',
			hint: 'Install mmdebstrap (and, for an ordinary user, uidmap): `vmlab doctor --fix` does; or start Docker.',
		});
	},

	/** The Docker daemon, or what runs in it, failed to build an image. */
	dockerFailed(what: string, lines: readonly string[], hint: string, log?: string, cause?: unknown): LabError {
		return new LabError({code: 'docker-failed', kind: 'component', message: `Docker ${what}`, details: lines, hint, ...(log && {log}), cause});
	},
};
