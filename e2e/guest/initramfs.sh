#!/bin/sh
# First process of the guest, in the initramfs: loads the drivers, mounts the root image, hands over to init.sh.
export PATH=/bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# /modules lists one file a line, dependencies first.
while read -r module; do
    insmod "/lib/$module" || echo "initramfs: $module could not be loaded"
done </modules
# The order in which disks are found is the kernel's business; their serial numbers say which is which.
disk=$(grep -lx root /sys/block/*/serial)
disk=/dev/$(basename "$(dirname "$disk")")
mount -t ext4 -o noatime "$disk" /root || {
    echo "initramfs: the root image cannot be mounted from $disk"
    poweroff -f
}
for folder in dev proc sys; do
    mount --move /$folder /root/$folder
done
exec switch_root /root /sbin/guest-init
