/** Where the kernel of a machine has random numbers from before any program asks for some. */

/**
 * One such source: the instructions of the processor (RDRAND, RDSEED), the seed that QEMU hands over with the kernel (from 7.2 on), and the device that
 * gives the host's random numbers.
 */
export type EntropySource = 'processor' | 'boot' | 'virtio-rng';

/** All of them, in the order in which a kernel meets them. */
export const entropySources: readonly EntropySource[] = ['processor', 'boot', 'virtio-rng'];
