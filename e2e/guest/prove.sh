#!/bin/bash
# The proof on cgroup v2, inside the guest: every test program of the sandbox, then the server from end to end.
# Ends with the number of parts that failed.
failed=0
part() {
    echo "=== $1"
    shift
    "$@" || { echo "=== failed with status $?"; failed=$((failed + 1)); }
}

# The proof is worth nothing on a machine that has a v1 hierarchy as well.
if grep -q ' cgroup ' /proc/mounts || ! grep -qw memory /sys/fs/cgroup/cgroup.controllers; then
    echo "this is not a pure cgroup v2 machine"
    exit 1
fi
for test in /guest/tests/*; do
    part "$(basename "$test")" "$test"
done
part "server" python3 /guest/smoke.py
exit "$failed"
