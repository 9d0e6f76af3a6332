#!/bin/bash
# The proof on cgroup v2, inside the guest: every test program of the sandbox, then the server from end to end, started by
# root and by an ordinary user. Arguments choose among these parts. Ends with the number of programs that failed.
failed=0
chosen=" $* "
part() {
    local part=$1 name=$2
    shift 2
    [[ $chosen = *" $part "* ]] || return
    echo "=== $name"
    "$@" || { echo "=== failed with status $?"; failed=$((failed + 1)); }
}

# The proof is worth nothing on a machine that has a v1 hierarchy as well.
if grep -q ' cgroup ' /proc/mounts || ! grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
    echo "this is not a pure cgroup v2 machine"
    exit 1
fi
# For what was copied below /usr/local.
ldconfig
for test in /guest/tests/*; do
    part sandbox "$(basename "$test")" "$test"
done
part server "the server" python3 /guest/smoke.py

# What systemd does for `systemd-run --user --scope -p Delegate=yes`: a group that is the user's. Who tests is beside it.
delegate() {
    mkdir -p /sys/fs/cgroup/user.slice/tester
    echo "+cpu +memory +pids" >/sys/fs/cgroup/user.slice/cgroup.subtree_control
    chown ordinary: /sys/fs/cgroup/user.slice/{.,tester}/{,cgroup.procs,cgroup.subtree_control}
    echo $BASHPID >/sys/fs/cgroup/user.slice/tester/cgroup.procs
}
as_ordinary() {
    (delegate && cd /home/ordinary && exec setpriv --reuid ordinary --regid ordinary --init-groups \
        env HOME=/home/ordinary HEARTH_GROUP=/sys/fs/cgroup/user.slice "$@")
}
part ordinary "the server of an ordinary user" as_ordinary python3 /guest/smoke.py
exit "$failed"
