#!/usr/bin/env node
/** The program `vmlab`. */
import {runCommandLine} from './command-line.ts';

// Both streams are synchronous here (pipes, files and terminals are, on Linux), so nothing that was written is lost.
process.exit(await runCommandLine(process.argv.slice(2)));
