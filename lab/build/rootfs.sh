#!/bin/sh
# Turns the tree that mmdebstrap installed into the files of an image. It is a hook of mmdebstrap: it runs beside the tree, as
# the root of a user namespace where the builder is an ordinary user, and leaves its results in /tmp/vmlab inside of the
# tree, from where mmdebstrap hands them out: root.erofs, vmlinuz, packages.txt and boot.tar (what the initramfs needs).
#
# From the same package versions the results are the same, byte for byte: everything that depends on when, where, by whom
# or with which versions of the host's programs the tree was made is removed here.
#
#   sh rootfs.sh TREE CONFIGURATION
#
# CONFIGURATION is a folder with: mask (a systemd unit a line), modules (a kernel module a line, without what it depends
# on), settings (shell variables: EPOCH in seconds, UUID).
set -eu
tree=$1
configuration=$2
. "$configuration/settings"

fail() {
	echo "vmlab: $*" >&2
	exit 1
}

results=$tree/tmp/vmlab
rm -rf "$results"
mkdir -p "$results/boot"

# --- What the package manager says is there.
chroot "$tree" dpkg-query --show --showformat '${Package}=${Version}\n' | LC_ALL=C sort >"$results/packages.txt"

# --- The kernel.
set -- "$tree"/usr/lib/modules/*
{ [ $# -eq 1 ] && [ -d "$1" ]; } || fail "there must be the modules of one kernel, and there are: $*"
modules=$1
release=${modules##*/}
cp "$tree/boot/vmlinuz-$release" "$results/vmlinuz"
# Some releases compress their modules. Layers are not compressed, and a guest that unpacks each module it loads boots later.
(cd "$tree" && find "usr/lib/modules/$release" -name '*.ko.xz') | chroot "$tree" xargs --no-run-if-empty unxz --
chroot "$tree" depmod "$release"

# --- What the initramfs is made of: busybox, and the modules that reach the layers and the disk. modules.dep names, on the
# line of a module, all that it depends on, near or far.
cp "$tree/usr/bin/busybox" "$modules/modules.dep" "$modules/modules.builtin" "$results/boot/"
tr '_' '-' <"$configuration/modules" >"$results/wanted"
awk -v wanted="$results/wanted" '
	BEGIN { while ((getline name <wanted) > 0) want[name] = 1 }
	{
		name = $1
		sub(/:$/, "", name)
		file = name
		sub(/.*\//, "", name)
		sub(/\.ko$/, "", name)
		gsub(/_/, "-", name)
		if (name in want) {
			print file
			for (field = 2; field <= NF; field++) print $field
		}
	}' "$modules/modules.dep" | LC_ALL=C sort -u >"$results/files"
while read -r file; do
	mkdir -p "$results/boot/${file%/*}"
	cp "$modules/$file" "$results/boot/$file"
done <"$results/files"
tar -cf "$results/boot.tar" -C "$results/boot" .
rm -rf "$results/boot" "$results/wanted" "$results/files"

# --- Nothing is enabled but what overlays enable, and nothing is generated at boot: both cost time, and a package that is
# there for one of its programs should not start its daemon.
rm -rf "$tree"/etc/systemd/system/*.wants "$tree"/etc/systemd/system/*.requires "$tree"/etc/rc?.d
mkdir -p "$tree/etc/systemd/system" "$tree/etc/systemd/system-generators"
for generator in "$tree"/usr/lib/systemd/system-generators/*; do
	ln -sf /dev/null "$tree/etc/systemd/system-generators/${generator##*/}"
done
while read -r unit; do
	ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done <"$configuration/mask"
ln -sf /usr/lib/systemd/system/multi-user.target "$tree/etc/systemd/system/default.target"

# --- What depends on when and where this was made, and what each machine must have of its own. (What is in /tmp is not
# taken along; mmdebstrap itself still needs it.)
find "$tree/var/log" "$tree/var/cache" "$tree/var/backups" "$tree/var/tmp" "$tree/run" "$tree/boot" "$tree/var/lib/apt" \
	-mindepth 1 ! -type d -delete
find "$tree/usr" -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf "$tree"/run/* "$tree"/var/lib/apt/lists "$tree"/var/cache/apt "$tree"/var/cache/ldconfig "$tree"/var/lib/dpkg/*-old \
	"$tree"/var/lib/initramfs-tools "$tree"/var/lib/systemd/deb-systemd-* "$tree"/var/lib/systemd/random-seed \
	"$tree"/root/.[a-z]*history "$tree"/etc/hostname "$tree"/etc/hosts "$tree"/etc/resolv.conf "$tree"/etc/.resolv.conf.* "$tree"/etc/ssh/ssh_host_* \
	"$tree"/etc/dropbear/*_host_key "$tree"/etc/nsd/*.key "$tree"/etc/nsd/*.pem "$tree"/etc/unbound/*.key "$tree"/etc/unbound/*.pem "$tree"/etc/*- "$tree"/etc/.pwd.lock "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/* \
	"$tree"/etc/apt/apt.conf.d/99mmdebstrap "$tree"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$tree"/var/lib/dbus/machine-id \
	"$tree"/vmlinuz* "$tree"/initrd.img*
# Empty, not missing: systemd then makes one for each machine, and does not take its boot for the first of an installation.
: >"$tree/etc/machine-id"
# A machine has no clock of its own but the host's, in UTC.
rm -f "$tree/etc/adjtime" "$tree/etc/localtime" "$tree/etc/timezone"

# --- The root filesystem. Made by the mkfs.erofs of the release itself, so that it is the same whatever the host has; from a
# second view of the tree, which has nothing mounted in it.
mkdir "$results/view"
mount --bind "$tree" "$results/view"
# Not compressed, and each file in pages of its own (no tail beside its inode), so that DAX maps files as they are.
chroot "$tree" mkfs.erofs --quiet -T "$EPOCH" -U "$UUID" -E noinline_data \
	--exclude-regex='^(dev|tmp)/.+' /tmp/vmlab/root.erofs /tmp/vmlab/view
umount "$results/view"
rmdir "$results/view"
# virtio-pmem wants a multiple of 2 MiB.
truncate --size=%2M "$results/root.erofs"
