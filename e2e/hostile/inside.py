"""What an attack finds at hand: comes before it in the package, and runs inside the environment."""

import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import random
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170,
    "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179, "nfsservctl": 180,
    "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "migrate_pages": 256,
    "unshare": 272, "move_pages": 279, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319,
    "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442, "ptrace": 101, "syslog": 103, "personality": 135,
    "modify_ldt": 154, "vhangup": 153, "acct": 163, "settimeofday": 164, "adjtimex": 159, "seccomp": 317, "renameat2": 316, "capset": 126,
    "kexec_file_load": 320, "ioprio_set": 251, "mlockall": 151, "mlock": 149, "splice": 275,
}


def call(name, *arguments):
    """(result, errno) of a system call, by name or number."""
    ctypes.set_errno(0)
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(CALLS.get(name, name)), *values)
    return result, ctypes.get_errno() if result == -1 else 0


def reached(name, *arguments):
    """Whether the kernel has looked at the call at all, whatever it then said."""
    result, error = call(name, *arguments)
    return result != -1 or error not in (errno.EPERM, errno.ENOSYS)


def works(do, *arguments):
    """Whether it can be done."""
    try:
        do(*arguments)
    except Exception:
        return False
    return True


def content(path, most=1 << 20):
    """What can be read there."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def put(path, data=b"x", flags=os.O_WRONLY | os.O_CREAT):
    """Writes there."""
    fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def child(do, seconds=30):
    """The wait status of a child that did it; killed after this time."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        except BaseException:
            os._exit(99)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def http(method, path, body=b"", headers=(), timeout=5):
    """(status, body) of a request to the Runtime API, as it is."""
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout) as sock:
        head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in headers]
        try:
            sock.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        except OSError:
            pass
        data = b""
        try:
            while part := sock.recv(65536):
                data += part
        except OSError:
            pass
    if not data:
        return 0, b""
    return int(data.split()[1]), data.partition(b"\r\n\r\n")[2]


def answer(id, body=b'"by hand"', kind="response", headers=()):
    """The Runtime API's status for an answer to this invoke."""
    return http("POST", f"/2018-06-01/runtime/invocation/{id}/{kind}", body, headers)[0]


def reads(paths, marks):
    """Names of marks (canaries) that a file of these shows."""
    return [f"{path}: {mark}" for path in paths for mark in marks if mark.encode() in content(path)]
