import {defineOverlay} from 'vmlab';

export default defineOverlay({
	summary: 'A TLS key that is made as early in a boot as can be, and a record of how long the kernel let it wait for random numbers',
	needs: ['base'],
	packages: ['openssl', 'strace'],
	units: () => ['vmlab-first-key.service'],
	ready: ({machine}) => [{sentence: `the first key of ${machine.name} is made`, deadline: '60s', unit: 'vmlab-first-key.service'}],
	evidence: () => [{name: 'first-key.txt', command: 'cat /run/first-key/getrandom; dmesg | grep -E "first-key|crng|random:"; cat /proc/cmdline'}],
});
