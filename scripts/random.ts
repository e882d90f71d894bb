import {defineScenario} from 'vmlab';
import {entropyLab, firstKeys, seedOnDisk} from './steps/entropy.ts';

export default defineScenario({
	summary: 'How long the first TLS key of a boot takes on kernel 6.1: as usual, with virtio-rng alone, and without any random numbers but those that the kernel makes itself',
	lab: entropyLab('bookworm'),
	budget: '5m',
	mutation: seedOnDisk,
	steps: firstKeys,
});
