/** Text from guests and programs, made harmless for a terminal. */

// What a terminal may obey: ECMA-48 control functions. CSI and OSC sequences go as a whole, other controls by themselves.
// eslint-disable-next-line no-control-regex
const sequences = /\u001B\[[0-?]*[ -/]*[@-~]|\u001B[\]PX^_][^\u0007\u001B\u009C]*(?:\u0007|\u001B\\|\u009C)?|\u001B[ -/]*[0-~]?/g;
// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g;

/**
 * The text without terminal escape sequences and control characters, but for tab, newline and carriage return. A guest's
 * output must not move the cursor, change the title or answer for the user.
 */
export function plainText(text: string): string {
	return text.replace(sequences, '').replace(controls, '');
}
