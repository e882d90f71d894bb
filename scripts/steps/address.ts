/** Addresses that must be there. */
import {claim, type Family, type LabMachine, type PerFamily} from 'vmlab';

/** An address of a pod, machine or Service in a family that it must have. */
export function addressIn(family: Family, addresses: PerFamily<string>, whose: string): string {
	const address = addresses[family];
	claim(address !== undefined, `${whose} has no ${family} address`);
	return address;
}

/** The address of a machine of the lab in a family that it must have. */
export function addressOf({name, address}: Pick<LabMachine, 'name' | 'address'>, family: Family): string {
	return addressIn(family, address, name);
}
