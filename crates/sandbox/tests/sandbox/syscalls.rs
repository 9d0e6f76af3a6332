//! What the kernel interface refuses, call by call.

use crate::harness::{Probe, World, json};

/// Each with arguments that are harmless if the call should work: name, number on x86_64, arguments, errno.
#[rustfmt::skip]
const REFUSED: &[(&str, u32, &str, &str)] = &[
    ("bpf", 321, "0, 0, 0", "EPERM"),
    ("perf_event_open", 298, "0, 0, -1, -1, 0", "EPERM"),
    ("userfaultfd", 323, "1", "EPERM"),
    ("io_uring_setup", 425, "1, 0", "EPERM"),
    ("io_uring_enter", 426, "-1, 0, 0, 0, 0", "EPERM"),
    ("io_uring_register", 427, "-1, 0, 0, 0", "EPERM"),
    ("keyctl", 250, "0, 0, 0", "EPERM"),
    ("add_key", 248, "0, 0, 0, 0, 0", "EPERM"),
    ("request_key", 249, "0, 0, 0, 0", "EPERM"),
    ("kexec_load", 246, "0, 0, 0, 0", "EPERM"),
    ("kexec_file_load", 320, "-1, -1, 0, 0, 0", "EPERM"),
    ("init_module", 175, "0, 0, 0", "EPERM"),
    ("finit_module", 313, "-1, 0, 0", "EPERM"),
    ("delete_module", 176, "0, 0", "EPERM"),
    ("iopl", 172, "0", "EPERM"),
    ("ioperm", 173, "0, 0, 0", "EPERM"),
    ("modify_ldt", 154, "0, 0, 0", "EPERM"),
    ("swapon", 167, "0, 0", "EPERM"),
    ("swapoff", 168, "0", "EPERM"),
    ("reboot", 169, "0, 0, 0, 0", "EPERM"),
    ("syslog", 103, "10, 0, 0", "EPERM"),
    ("acct", 163, "0", "EPERM"),
    ("quotactl", 179, "0, 0, 0, 0", "EPERM"),
    ("quotactl_fd", 443, "-1, 0, 0, 0", "EPERM"),
    ("lookup_dcookie", 212, "0, 0, 0, 0", "EPERM"),
    ("nfsservctl", 180, "0, 0, 0", "EPERM"),
    ("_sysctl", 156, "0", "EPERM"),
    ("personality(READ_IMPLIES_EXEC)", 135, "0x0400000", "EPERM"),
    ("personality(ADDR_NO_RANDOMIZE)", 135, "0x0040000", "EPERM"),
    ("clock_settime", 227, "0, 0", "EPERM"),
    ("settimeofday", 164, "0, 0", "EPERM"),
    ("adjtimex", 159, "0", "EPERM"),
    ("clock_adjtime", 305, "0, 0", "EPERM"),
    ("sethostname", 170, "b'x', 1", "EPERM"),
    ("setdomainname", 171, "b'x', 1", "EPERM"),
    ("mount", 165, "b'x', b'/tmp', b'tmpfs', 0, 0", "EPERM"),
    ("umount2", 166, "b'/tmp', 0", "EPERM"),
    ("pivot_root", 155, "b'/tmp', b'/tmp'", "EPERM"),
    ("chroot", 161, "b'/tmp'", "EPERM"),
    ("fsopen", 430, "b'tmpfs', 0", "EPERM"),
    ("fsconfig", 431, "-1, 0, 0, 0, 0", "EPERM"),
    ("fsmount", 432, "-1, 0, 0", "EPERM"),
    ("fspick", 433, "-100, b'/tmp', 0", "EPERM"),
    ("open_tree", 428, "-100, b'/tmp', 1", "EPERM"),
    ("move_mount", 429, "-1, b'', -1, b'', 0", "EPERM"),
    ("mount_setattr", 442, "-1, b'', 0, 0, 0", "EPERM"),
    ("open_by_handle_at", 304, "-1, 0, 0", "EPERM"),
    ("name_to_handle_at", 303, "-1, 0, 0, 0, 0", "EPERM"),
    ("fanotify_init", 300, "0, 0", "EPERM"),
    ("fanotify_mark", 301, "-1, 0, 0, 0, 0", "EPERM"),
    ("statmount", 457, "0, 0, 0, 0", "EPERM"),
    ("listmount", 458, "0, 0, 0, 0", "EPERM"),
    ("setns", 308, "-1, 0", "EPERM"),
    ("unshare(CLONE_NEWUSER)", 272, "0x10000000", "EPERM"),
    ("unshare(0)", 272, "0", "EPERM"),
    ("ptrace(TRACEME)", 101, "0, 0, 0, 0", "EPERM"),
    ("process_vm_readv", 310, "1, 0, 0, 0, 0, 0", "EPERM"),
    ("process_vm_writev", 311, "1, 0, 0, 0, 0, 0", "EPERM"),
    ("process_madvise", 440, "-1, 0, 0, 0, 0", "EPERM"),
    ("pidfd_getfd", 438, "-1, 0, 0", "EPERM"),
    ("kcmp", 312, "1, 1, 0, 0, 0", "EPERM"),
    ("mbind", 237, "0, 0, 0, 0, 0, 0", "EPERM"),
    ("set_mempolicy", 238, "0, 0, 0", "EPERM"),
    ("migrate_pages", 256, "0, 0, 0, 0", "EPERM"),
    ("move_pages", 279, "0, 0, 0, 0, 0, 0", "EPERM"),
    ("clone3", 435, "0, 0", "ENOSYS"),
    ("clone(NEWUSER)", 56, "0x10000011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWNS)", 56, "0x00020011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWPID)", 56, "0x20000011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWNET)", 56, "0x40000011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWIPC)", 56, "0x08000011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWUTS)", 56, "0x04000011, 0, 0, 0, 0", "EPERM"),
    ("clone(NEWCGROUP)", 56, "0x02000011, 0, 0, 0, 0", "EPERM"),
    ("a call of the x32 interface", 0x4000_0027, "", "ENOSYS"),
    ("a call that no kernel has", 600, "", "ENOSYS"),
    ("socket(AF_PACKET)", 41, "17, 3, 0", "EPERM"),
    ("socket(AF_VSOCK)", 41, "40, 1, 0", "EPERM"),
    ("socket(AF_ALG)", 41, "38, 5, 0", "EPERM"),
    ("socket(AF_BLUETOOTH)", 41, "31, 1, 0", "EPERM"),
    ("socket(AF_KEY)", 41, "15, 3, 2", "EPERM"),
    ("socket(NETLINK_AUDIT)", 41, "16, 3, 9", "EPERM"),
    ("socket(NETLINK_KOBJECT_UEVENT)", 41, "16, 3, 15", "EPERM"),
    ("socket(AF_INET, SOCK_RAW)", 41, "2, 3, 1", "EPERM"),
    ("socket(AF_INET, SOCK_RAW|SOCK_CLOEXEC)", 41, "2, 0x80003, 1", "EPERM"),
    ("socket(AF_INET6, SOCK_RAW)", 41, "10, 3, 58", "EPERM"),
    ("socket(AF_INET, SOCK_PACKET)", 41, "2, 10, 3", "EPERM"),
    ("socketpair(AF_INET)", 53, "2, 1, 0, 0", "EPERM"),
    ("ioctl(TIOCSTI)", 16, "0, 0x5412, b'x'", "EPERM"),
    ("ioctl(TIOCLINUX)", 16, "0, 0x541C, b'x'", "EPERM"),
    ("ioctl(TIOCSTI) with a high bit", 16, "0, ctypes.c_ulong(0x100005412), b'x'", "EPERM"),
    ("mknod(a disk)", 133, "b'/tmp/d', 0o060600, 0x800", "EPERM"),
    ("mknod(kmsg)", 133, "b'/tmp/d', 0o020600, 0x10B", "EPERM"),
    ("mknodat(kmsg)", 259, "-100, b'/tmp/d', 0o020600, 0x10B", "EPERM"),
    ("setuid(0)", 105, "0", "EINVAL"),
    ("setgroups", 116, "0, 0", "EPERM"),
    ("setpriority(-20)", 141, "0, 0, -20", "EACCES"),
    ("sched_setscheduler(FIFO)", 144, "0, 1, ctypes.byref(ctypes.c_int(1))", "EPERM"),
];

/// What must go on working: the runtimes and their libraries live of it.
const ALLOWED: &str = r"
import os, json, socket, mmap, subprocess, threading, select, ctypes, signal
done = []
def run(name, f):
    try: f(); done.append(name)
    except Exception as e: done.append(f'{name}: {e!r}')
run('memfd', lambda: os.write(os.memfd_create('m'), b'x'))
run('pidfd', lambda: os.pidfd_open(os.getpid()))
run('thread', lambda: (lambda t: (t.start(), t.join()))(threading.Thread(target=lambda: None)))
run('fork', lambda: os.waitpid(os.fork() or os._exit(0), 0))
run('unix', lambda: socket.socketpair())
run('inet', lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
run('inet6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
run('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
run('epoll', lambda: select.epoll())
run('fifo', lambda: os.mkfifo('/tmp/fifo'))
run('personality', lambda: ctypes.CDLL(None).personality(0xffffffff) == 0 or 1/0)
run('copy', lambda: os.copy_file_range(os.open('/tmp/a', os.O_RDONLY | os.O_CREAT), os.open('/tmp/b', os.O_RDWR | os.O_CREAT), 10))
def executes():
    with open('/usr/bin/python3.11', 'rb') as f: program = f.read()
    with open('/tmp/p', 'wb') as f: f.write(program)
    os.chmod('/tmp/p', 0o4755)
    out = subprocess.run(['/tmp/p', '-I', '-S', '-c', 'import os; print(os.geteuid())'], stdout=subprocess.PIPE)
    assert out.stdout == b'993\n', out
run('exec from /tmp, whatever its mode', executes)
print(json.dumps(done))
";

pub(crate) async fn dangerous_calls_are_refused(world: World) {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let mut probe = "import ctypes, errno, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def call(number, *a):\n  \
          ctypes.set_errno(0); pid = os.getpid(); r = libc.syscall(number, *a)\n  \
          if os.getpid() != pid: os._exit(0)\n  \
          print('worked' if r >= 0 else errno.errorcode.get(ctypes.get_errno()))\n"
        .to_owned();
    for (_, number, arguments, _) in REFUSED {
        probe += &format!("call({number}, {arguments})\n");
    }
    let text = world.output(Probe::new(&probe)).await;
    let answers: Vec<&str> = text.lines().collect();
    assert_eq!(answers.len(), REFUSED.len(), "{text}");
    let wrong: Vec<_> =
        REFUSED.iter().zip(answers).filter(|(row, answer)| row.3 != *answer).map(|(row, got)| (row.0, got)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

pub(crate) async fn usual_calls_work(world: World) {
    let done = json(&world.output(Probe::new(ALLOWED)).await);
    let names = [
        "memfd",
        "pidfd",
        "thread",
        "fork",
        "unix",
        "inet",
        "inet6",
        "netlink",
        "epoll",
        "fifo",
        "personality",
        "copy",
        "exec from /tmp, whatever its mode",
    ];
    assert_eq!(done, serde_json::json!(names));
}
