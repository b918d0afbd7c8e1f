#!/bin/sh
# Sets the number of workers to the processors that this container may use, if asked.
set -eu

[ -n "${NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE:-}" ] || exit 0
[ -w /etc/nginx/nginx.conf ] || exit 0

count=$(nproc)
# The quota of cgroup v2, in microseconds of a period, rounded up.
if [ -r /sys/fs/cgroup/cpu.max ]; then
    read -r quota period < /sys/fs/cgroup/cpu.max
    if [ "$quota" != max ]; then
        allowed=$(((quota + period - 1) / period))
        [ "$allowed" -ge "$count" ] || count=$allowed
    fi
fi

sed -i "s/^worker_processes .*/worker_processes $count;/" /etc/nginx/nginx.conf
