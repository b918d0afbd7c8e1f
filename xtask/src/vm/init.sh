#!/bin/sh
# First process of the virtual machine, in its initial RAM disk: goes over to the disk.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    insmod "$module" || echo "vm: cannot load $module"
done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
mount -t ext4 /dev/vda /disk || { echo "vm: cannot mount the disk"; poweroff -f; }
umount /proc
mount --move /dev /disk/dev
exec switch_root /disk /vm/run
