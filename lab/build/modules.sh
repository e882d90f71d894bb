#!/bin/sh
# Builds kernel modules in a tree that mmdebstrap installed, which has their source, dkms and the headers of one kernel. It is a
# hook of mmdebstrap, as rootfs.sh is, and leaves in /tmp/vmlab inside of the tree: modules.tar, which has usr/lib/modules/KERNEL
# with the modules and depmod's index of them and of all the kernel's own, and packages.txt.
#
# The index is made here because a layer hides the files of the image that have the same names: what modprobe reads must
# name all modules, and only here the kernel's own are there beside the new ones.
#
#   sh modules.sh TREE CONFIGURATION
#
# CONFIGURATION is a folder with: packages (a Debian package a line), settings (shell variables: EPOCH in seconds, KERNEL as
# uname -r tells it).
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
mkdir -p "$results"
chroot "$tree" dpkg-query --show --showformat '${Package}=${Version}\n' | LC_ALL=C sort >"$results/packages.txt"
modules=usr/lib/modules/$KERNEL
[ -e "$tree/$modules/modules.order" ] || fail "the packages have no kernel $KERNEL"
# Paths in the index are those of the image, which has its modules unpacked.
(cd "$tree" && find "$modules" -name '*.ko.xz') | chroot "$tree" xargs --no-run-if-empty unxz --
mkdir -p "$tree/$modules/updates"

while read -r package; do
	chroot "$tree" dpkg-query --listfiles "$package" | grep -x '/usr/src/[^/]*/dkms\.conf' >"$results/sources" || fail "$package has no source for dkms"
	while read -r file; do
		# The file is a piece of bash, and says itself what it is of.
		name=$(chroot "$tree" bash -c '. "$1" >&2; echo "$PACKAGE_NAME"' bash "$file")
		version=$(chroot "$tree" bash -c '. "$1" >&2; echo "$PACKAGE_VERSION"' bash "$file")
		echo "I: building the modules of $name $version for kernel $KERNEL..." >&2
		folder=$tree/var/lib/dkms/$name/$version
		status=0
		chroot "$tree" dkms build -m "$name" -v "$version" -k "$KERNEL" -a "$(uname -m)" </dev/null >&2 || status=$?
		if [ $status -ne 0 ]; then
			cat "$folder/build/make.log" "$folder/$KERNEL"/*/log/make.log >&2 2>/dev/null || true
			fail "dkms could not build $name $version (exit code $status)"
		fi
		find "$folder/$KERNEL" -path '*/module/*.ko*' -type f -exec cp {} "$tree/$modules/updates/" \;
	done <"$results/sources"
done <"$configuration/packages"
rm "$results/sources"

cd "$tree/$modules/updates"
for file in *.ko.xz *.ko.gz *.ko.zst; do
	[ -e "$file" ] || continue
	case $file in
		*.xz) chroot "$tree" unxz "/$modules/updates/$file" ;;
		*.gz) chroot "$tree" gunzip "/$modules/updates/$file" ;;
		*.zst) chroot "$tree" unzstd --quiet --rm "/$modules/updates/$file" ;;
	esac
done
set -- *.ko
[ -e "$1" ] || fail 'dkms built no module'
for file; do
	# A signature by a key that was made a moment ago is worth nothing, and would be another one each time; it goes with the debug information.
	chroot "$tree" strip --strip-debug "/$modules/updates/$file"
	found=$(chroot "$tree" modinfo -F vermagic "/$modules/updates/$file")
	[ "${found%% *}" = "$KERNEL" ] || fail "$file is for another kernel: $found"
done
chmod 0644 -- *.ko

chroot "$tree" depmod "$KERNEL"
cd "$tree"
# What depmod writes, and not what it reads; and the folders on the way, so that they are as they are here wherever it is unpacked.
{
	printf '%s\n' usr usr/lib usr/lib/modules "$modules" "$modules/updates"
	find "$modules/updates" -type f
	find "$modules" -maxdepth 1 -type f -name 'modules.*' ! -name modules.order ! -name modules.builtin ! -name modules.builtin.modinfo
} | LC_ALL=C sort >"$results/files"
tar --create --file="$results/modules.tar" --no-recursion --format=ustar --mtime="@$EPOCH" --owner=0 --group=0 --numeric-owner \
	--mode=u=rwX,go=rX --files-from="$results/files"
rm "$results/files"
