#!/bin/bash
# Process 1 of the guest once its root is mounted. It leaves the machine as systemd would (shared mounts, one cgroup v2
# tree with controllers handed down, the command in a service cgroup of its own) and runs /guest/command.
#
# The channel to the host is a virtio-serial port. The lines that start or end a run carry a nonce from the kernel's
# command line, so that nothing a command prints can be taken for one of them.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
cd /root || exit

value_of() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
nonce=$(value_of hearth_nonce)
date -s "@$(value_of hearth_time)" >/dev/null

mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev shm /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
ln -sf /proc/self/fd /dev/fd
# Nodes whose first opening loads their driver, such as /dev/loop-control.
while read -r _ node type; do
    mkdir -p "$(dirname "/dev/$node")"
    numbers=${type:1}
    [ -e "/dev/$node" ] || mknod "/dev/$node" "${type:0:1}" "${numbers%:*}" "${numbers#*:}"
done < <(grep -v '^#' "/lib/modules/$(uname -r)/modules.devname")
mount --make-rshared /
ip link set lo up
hostname guest
ulimit -Hn 524288

cgroups=/sys/fs/cgroup
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 $cgroups
mkdir -p $cgroups/init.scope $cgroups/system.slice/guest.service
echo $$ >$cgroups/init.scope/cgroup.procs
echo "+cpuset +cpu +io +memory +pids" >$cgroups/cgroup.subtree_control
echo "+cpuset +cpu +io +memory +pids" >$cgroups/system.slice/cgroup.subtree_control

# A port can be opened once only, so one process holds it and everything else writes into a pipe.
port=$(grep -l '^hearth.guest$' /sys/class/virtio-ports/*/name)
port=/dev/$(basename "$(dirname "$port")")
{
    echo "$nonce ready"
    disk=$(grep -lx payload /sys/block/*/serial)
    tar -x -C / -f "/dev/$(basename "$(dirname "$disk")")"
    (
        echo "$BASHPID" >$cgroups/system.slice/guest.service/cgroup.procs
        exec bash /guest/command
    ) </dev/null
    echo "$nonce exit $?"
    # The command may have left processes that hold the pipe; the host switches the machine off.
    sleep infinity
} 2>&1 | cat >"$port"
