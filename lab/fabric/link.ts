/** A link: what joins one machine's NIC to one network. The one place where a frame crosses between a port and its network. */
import type {FrameHandler, Port} from './port.ts';

/** One machine's link. */
export interface Link {
	/** Takes a frame from the machine, with its header, into the network. */
	readonly fromMachine: FrameHandler;
	/** Takes a frame for the machine, with its header, to its port; `flush` must follow. The buffer must not be changed afterwards. */
	readonly toMachine: FrameHandler;
}

/** Where the frames of a link go. */
export interface LinkEnds {
	readonly port: Port;
	/** Takes what has crossed from the machine. */
	readonly enter: FrameHandler;
	/** Called when the port was given a frame, which is to be flushed. */
	readonly onDelivered: () => void;
}

/** A link over which everything passes at once. */
export function openLink({port, enter, onDelivered}: LinkEnds): Link {
	return {
		fromMachine: enter,
		toMachine(buffer, start, end) {
			port.deliver(buffer, start, end);
			onDelivered();
		},
	};
}
