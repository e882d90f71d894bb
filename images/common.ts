/** What the Debian images have in common. */

/** What labs for network functions usually want, so that few overlays make another image. */
export const packages = [
	'systemd', 'systemd-sysv', 'kmod', 'busybox-static', 'procps', 'util-linux', 'mount', 'e2fsprogs', 'ca-certificates', 'erofs-utils',
	'dropbear-bin', 'openssh-sftp-server',
	'iproute2', 'nftables', 'iptables', 'ipset', 'ipvsadm', 'conntrack', 'bridge-utils', 'wireguard-tools',
	'ethtool', 'tcpdump', 'iputils-ping', 'iputils-tracepath', 'iperf3', 'curl', 'netcat-openbsd', 'socat', 'dnsutils', 'jq',
	'runc', 'conmon', 'libseccomp2', 'tayga',
];

/** Modules for the way to the root filesystem and to the first packet. */
export const bootModules = ['virtio_pci', 'virtio_pmem', 'nd_pmem', 'erofs', 'overlay', 'virtio_blk', 'virtio_net', 'virtio_rng'];

/** Nobody reads manuals in a throwaway machine. */
export const unneeded = ['/usr/share/man/*', '/usr/share/locale/*', '/usr/share/doc/*', '/usr/share/info/*'];

/** Units that look for hardware, users and terminals which a lab's machine does not have. They double the time of a boot. */
export const masked = [
	'systemd-udevd.service', 'systemd-udev-trigger.service', 'systemd-udevd-control.socket', 'systemd-udevd-kernel.socket',
	'systemd-tmpfiles-setup-dev.service', 'systemd-logind.service', 'dbus.service', 'dbus.socket', 'getty.target',
	'systemd-random-seed.service', 'systemd-hwdb-update.service', 'systemd-sysusers.service', 'timers.target',
];

/**
 * No BIOS disk calls (they hang under some hypervisors), no calibration of a clock that QEMU keeps exactly, no mitigations
 * for a guest that holds no secrets from itself, and the host's random numbers trusted from the first moment.
 */
export const kernelArguments = ['edd=off', 'tsc=reliable', 'no_timer_check', 'mitigations=off', 'random.trust_cpu=on', 'quiet'];
