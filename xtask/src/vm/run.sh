#!/bin/sh
# First process on the disk: runs the parts that the kernel's command line names, one after the other, and sends what
# they left in /vm/out through the port `result`, as a tar archive.
export PATH=/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
ifconfig lo up
out=/vm/out
uname -r >$out/kernel
cat /sys/kernel/security/lsm >$out/lsm
parts=$(sed -n 's/.*vm\.parts=\([^ ]*\).*/\1/p' /proc/cmdline)
echo "vm: $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"
# Each line: a name, a limit in seconds, a command.
while read -r name limit command; do
    echo "vm: begin $name"
    before=$(cat /proc/uptime)
    timeout -s KILL "$limit" sh -c "$command" <&- >$out/$name.out 2>$out/$name.err
    code=$?
    echo "vm: end $name $code $before $(cat /proc/uptime)" | tee -a $out/ended
done <"/vm/parts/$parts"
dmesg >$out/dmesg
port=$(grep -l result /sys/class/virtio-ports/*/name | cut -d/ -f5)
tar -c -C $out . >/dev/$port
sync
poweroff -f
