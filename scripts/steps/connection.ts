/** Single TCP connections, and the kernel's own word for what became of them. */
import type {MachineHandle} from 'vmlab';

/** Seconds until a connection counts as hanging. */
const patience = 10;

/**
 * Makes a TCP connection from a machine to an address, and closes it. Gives undefined where it was made, 'no answer' where nothing
 * came of it in 10 s, else the error as strerror(3) has it: 'Network is unreachable', 'Connection refused'.
 */
export async function tryConnection(machine: MachineHandle, address: string, port: number): Promise<string | undefined> {
	// bash opens it, since it tells the error of connect(2) as it is.
	const {exitCode, stderr} = await machine.try$`timeout ${patience} bash -c ${`exec 3<>/dev/tcp/${address}/${port}`}`;
	if (exitCode === 0) {
		return undefined;
	}

	// timeout(1): 124 when it had to end the command.
	return exitCode === 124 ? 'no answer' : /connect: (.*)/.exec(stderr)?.[1] ?? stderr;
}
