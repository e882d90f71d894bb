#!/bin/busybox sh
# The first process of a machine: stacks the layers under the machine's own disk and hands over to systemd.
# It runs from memory, before anything else does, with nothing but busybox. What it is told comes from the kernel's
# command line (vmlab.layers=N, vmlab.disk=DEVICE) and from /vmlab, which the seed of the machine puts beside it.
# systemd would write control sequences to the console, which is a log.
export PATH=/bin TERM=dumb

# Everything that goes wrong ends here, with one line that a person (and the host) can find on the console. The machine is
# powered off, because a machine that hangs costs its lab a whole deadline.
fail() {
	echo "vmlab: init failed: $*" >/dev/console
	sync
	poweroff -f
}

# Devices come up in the background after their driver is loaded; this waits for one, and no longer than it must.
# Ten seconds are thirty times what the slowest machine needed.
appears() {
	tries=0
	while [ ! -e "$1" ]; do
		[ $tries -lt 500 ] || return 1
		tries=$((tries + 1))
		usleep 20000
	done
}

mount -t devtmpfs -o mode=0755,nosuid dev /dev || fail 'the kernel has no devtmpfs'
exec </dev/console >/dev/console 2>&1
# An emulated processor measures its clock against the timer chip while this computer has other things to do. Held up at the
# wrong moment it is wrong by a factor, and with it the machine's time and all its timers, for ever, in each fork of it too (3.8
# times too fast was seen). The kernel notices that its two measurements differ, takes the worse one, and says so.
if dmesg | grep -q 'tsc: PIT calibration deviates'; then
	echo 'vmlab: the kernel misjudged how fast its clock runs, so the machine starts again'
	reboot -f
fi

# The host waits for this line: a kernel that hangs before it is started again.
echo 'vmlab: the first process runs'
mount -t proc -o nosuid,nodev,noexec proc /proc || fail 'cannot mount /proc'
mount -t sysfs -o nosuid,nodev,noexec sys /sys || fail 'cannot mount /sys'

layers=0
disk=
for argument in $(cat /proc/cmdline); do
	case $argument in
		vmlab.layers=*) layers=${argument#*=} ;;
		vmlab.disk=*) disk=${argument#*=} ;;
		# A shell instead of all that follows: what the time to ssh is compared with, and for looking around.
		vmlab.shell) exec sh -c 'echo "vmlab: shell"; exec sh' ;;
	esac
done

[ "$layers" -gt 0 ] 2>/dev/null || fail 'the kernel arguments lack vmlab.layers=N'
[ -n "$disk" ] || fail 'the kernel arguments lack vmlab.disk=DEVICE'

# In the order of /modules/order, so that each comes after what it depends on; the build worked that out. Finding the devices
# takes virtio_pci longer than all the rest together, and nothing else needs it done, so it has a process of its own.
finder=
while read -r module; do
	if [ "$module" = virtio_pci.ko ]; then
		insmod "/modules/$module" &
		finder=$!
	else
		insmod "/modules/$module" || fail "cannot load the kernel module $module"
	fi
done </modules/order
[ -z "$finder" ] || wait "$finder" || fail 'cannot load the kernel module virtio_pci.ko'

mkdir -p /layers /disk /root
lower=
index=0
while [ $index -lt "$layers" ]; do
	mkdir "/layers/$index"
	# A layer is persistent memory, which machines share with each other; where QEMU could not do that it is a disk, the
	# first after the machine's own: vdb, vdc ...
	letter=$(printf "\\$(printf '%o' $((98 + index)))")
	if [ ! -e "/dev/vd$letter" ] && appears "/dev/pmem$index"; then
		# Another layer in its place would be mounted as well as it, and the machine would come up without half of what it has.
		set -- /sys/bus/virtio/devices/virtio$index/ndbus*/region*/namespace*/block/pmem$index
		[ -e "$1" ] || fail "/dev/pmem$index is another layer than $index"
		mount -t erofs -o ro,dax=always "/dev/pmem$index" "/layers/$index" || fail "cannot mount layer $index from /dev/pmem$index"
	elif appears "/dev/vd$letter"; then
		mount -t erofs -o ro "/dev/vd$letter" "/layers/$index" || fail "cannot mount layer $index from /dev/vd$letter"
	else
		fail "layer $index is neither at /dev/pmem$index nor at /dev/vd$letter"
	fi

	# overlayfs wants the highest layer first.
	lower=/layers/$index${lower:+:$lower}
	index=$((index + 1))
done

appears "$disk" || fail "the disk $disk did not appear"
mount -t ext4 -o noatime,noinit_itable "$disk" /disk || fail "cannot mount the disk $disk"
mkdir -p /disk/root /disk/work /disk/state || fail "cannot write to the disk $disk"
mount -t overlay -o "noatime,lowerdir=$lower,upperdir=/disk/root,workdir=/disk/work" root /root || fail "cannot stack the layers $lower"

# The seed is what this one machine has: names, addresses, keys. It is written once, so that what is changed on the machine
# is still changed after it reboots.
fresh=
if [ ! -e /disk/seeded ]; then
	fresh=yes
	if [ -d /vmlab/root ]; then
		# tar, not cp: it puts a file in the place of a link instead of writing through it.
		tar -c -C /vmlab/root . | tar -x -C /root || fail 'cannot copy the seed to the root filesystem'
	fi
fi

# State is on the disk itself: databases and container layers on top of overlayfs are slow, and stacking overlayfs on
# overlayfs is refused. What the layers have in such a folder is its first content.
folders=/vmlab/state
[ -f "$folders" ] || folders=/dev/null
while read -r folder; do
	if [ -n "$folder" ] && [ ! -d "/disk/state$folder" ]; then
		fresh=yes
		mkdir -p "/root$folder" "/disk/state$folder.new" && cp -a "/root$folder/." "/disk/state$folder.new/" \
			|| fail "cannot set up the state folder $folder"
	fi
done <"$folders"

# What was written is on the disk before anything says that it is there: a machine whose power is cut just now must find all
# of it when it boots again, or write it again.
if [ -n "$fresh" ]; then
	sync
	touch /disk/seeded
fi

while read -r folder; do
	[ -n "$folder" ] || continue
	[ -d "/disk/state$folder" ] || mv "/disk/state$folder.new" "/disk/state$folder" || fail "cannot set up the state folder $folder"
	mount -o bind "/disk/state$folder" "/root$folder" || fail "cannot bind the state folder $folder"
done <"$folders"

# systemd wants to find them mounted, and would otherwise mount them itself.
for folder in dev proc sys; do
	mkdir -p "/root/$folder"
	mount -o move "/$folder" "/root/$folder" || fail "cannot move /$folder to the root filesystem"
done

exec switch_root /root /usr/lib/systemd/systemd </root/dev/console >/root/dev/console 2>&1
