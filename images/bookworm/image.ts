import {defineImage} from 'vmlab';

export default defineImage({
	summary: 'Debian 12 with kernel 6.1',
	release: 'bookworm',
	// Everything that a virtual machine can have, and no drivers for hardware.
	kernel: 'linux-image-cloud-amd64',
	// More than any one lab needs: an overlay with a package that no image has yet makes another image, and that takes its time.
	packages: [
		'bash', 'bash-completion', 'ca-certificates', 'curl', 'e2fsprogs', 'file', 'jq', 'kmod', 'less', 'libseccomp2', 'lsof', 'mount', 'procps', 'psmisc',
		'strace', 'systemd', 'util-linux', 'vim-tiny',
		// Keys, and names.
		'openssl', 'systemd-resolved',
		// Logging in.
		'dropbear-bin', 'openssh-client', 'openssh-sftp-server',
		// Links, addresses, packets.
		'arping', 'bind9-dnsutils', 'bridge-utils', 'conntrack', 'ethtool', 'iperf3', 'iproute2', 'ipset', 'iptables', 'iputils-ping',
		'iputils-tracepath', 'ipvsadm', 'lksctp-tools', 'mtr-tiny', 'netcat-openbsd', 'nftables', 'nghttp2-client', 'socat', 'tcpdump', 'wireguard-tools',
		// Network functions.
		'bird2', 'dnsmasq-base', 'jool-tools', 'keepalived', 'ndppd', 'nsd', 'tayga', 'unbound',
		// Container runtimes.
		'conmon', 'runc', 'skopeo',
	],
	// What is told apart by the order in which it is met (layers, disks) has its drivers before virtio_pci, which meets one device after the other: a driver that
	// comes while it is at it meets devices of its own beside it, and the second layer may be called the third.
	bootModules: ['virtio_pmem', 'virtio_blk', 'virtio_pci', 'nd_pmem', 'erofs', 'overlay', 'virtio_net', 'virtio_rng', 'vrf'],
	exclude: [
		'/usr/share/bug/*', '/usr/share/doc-base/*', '/usr/share/doc/*', '/usr/share/info/*', '/usr/share/lintian/*', '/usr/share/locale/*', '/usr/share/man/*',
		// Names of hardware.
		'/lib/udev/hwdb.d/*', '/usr/lib/udev/hwdb.d/*',
	],
	// Each costs an emulated processor a tenth of a second or more at boot, and does nothing for a machine with known devices,
	// nobody at a keyboard and nothing to remember.
	mask: [
		'cryptsetup.target', 'dbus.service', 'dbus.socket', 'dev-hugepages.mount', 'dev-mqueue.mount', 'getty.target', 'integritysetup.target',
		'kmod-static-nodes.service', 'ldconfig.service', 'modprobe@.service', 'proc-sys-fs-binfmt_misc.automount', 'rc-local.service',
		'remote-cryptsetup.target', 'remote-veritysetup.target', 'sys-fs-fuse-connections.mount', 'sys-kernel-config.mount', 'sys-kernel-debug.mount',
		'sys-kernel-tracing.mount', 'systemd-ask-password-console.path', 'systemd-ask-password-wall.path', 'systemd-binfmt.service',
		'systemd-boot-random-seed.service', 'systemd-firstboot.service', 'systemd-hibernate-clear.service', 'systemd-hwdb-update.service',
		'systemd-initctl.socket', 'systemd-journal-catalog-update.service', 'systemd-journal-flush.service', 'systemd-journald-audit.socket',
		'systemd-logind.service', 'systemd-machine-id-commit.service', 'systemd-network-generator.service', 'systemd-pcrphase-sysinit.service',
		'systemd-pcrphase.service', 'systemd-pstore.service', 'systemd-random-seed.service', 'systemd-remount-fs.service', 'systemd-repart.service',
		'systemd-sysusers.service', 'systemd-timesyncd.service', 'systemd-tmpfiles-clean.timer', 'systemd-tmpfiles-setup-dev-early.service',
		'systemd-tmpfiles-setup-dev.service', 'systemd-tpm2-setup-early.service', 'systemd-tpm2-setup.service', 'systemd-udev-trigger.service',
		'systemd-udevd-control.socket', 'systemd-udevd-kernel.socket', 'systemd-udevd.service', 'systemd-update-done.service',
		'systemd-update-utmp-runlevel.service', 'systemd-update-utmp.service', 'systemd-user-sessions.service', 'timers.target', 'veritysetup.target',
	],
	kernelArguments: [
		'console=ttyS0', 'quiet', 'systemd.show_status=no',
		// A machine that panics ends, instead of hanging until somebody's deadline.
		'panic=-1',
		// What measures or guards against hardware that is not there.
		'edd=off', 'tsc=reliable', 'no_timer_check', 'mitigations=off', 'init_on_alloc=0',
		// Nothing in a lab is worth waiting for entropy.
		'random.trust_cpu=on',
	],
});
