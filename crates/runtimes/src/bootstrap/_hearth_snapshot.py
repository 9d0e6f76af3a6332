"""The pause of a function that is written down once and goes on in many environments.

What is written is a child of this process: a fork has one thread, and has had its libraries told so.
"""
import posix
import sys

import bootstrap
from _hearth_rare import Fault, error_message

NEXT = b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: runtime\r\n\r\n"
# What a function may leave in /tmp for its environments, in bytes.
TMP_BYTES = 64 * 1024 * 1024


def pause(api):
    """Returns in each environment that goes on from here, ready for invokes."""
    try:
        _run(reversed(_hooks("get_before_snapshot")))
    except Exception as error:
        raise _fault("BeforeSnapshotError", error) from error
    _must_be_alone()
    files = _read_tmp()
    bootstrap.flush()
    written = _fork()
    import gc
    gc.collect()
    gc.freeze()  # The collector would write to every page, and so copy it.
    api.send(NEXT)
    status, _, body = api.receive()
    if status != 200:
        raise ConnectionError("the Runtime API answered restore/next with %d: %r" % (status, body))
    if posix.getpid() == written:  # By that libraries know that they must not draw what others draw.
        raise RuntimeError("restored under the number of the process that was written down")
    try:
        _draw_anew()
        _write_tmp(files)
        _run(_hooks("get_after_restore"))
    except Exception as error:
        api.send(error_message(b"restore/error", _fault("AfterRestoreError", error), ""))
        bootstrap.flush()
        api.receive()
        sys.exit(1)


def _hooks(which):
    module = sys.modules.get("snapshot_restore_py")
    return list(getattr(module, which)()) if module else []


def _run(hooks):
    for function, args, kwargs in hooks:
        function(*args, **kwargs)


def _fault(kind, error):
    import traceback
    return Fault(kind, "%s: %s" % (type(error).__name__, error), traceback.format_tb(error.__traceback__))


def _must_be_alone():
    import _thread
    others = _thread._count()
    if others:
        raise Fault("SnapshotUnsupported", "%d threads of the function run: they cannot be part of a snapshot" % others)


def _fork():
    """The number of the process to be written down, in that process."""
    child = posix.fork()
    if child:
        _, status = posix.waitpid(child, 0)
        posix._exit(posix.waitstatus_to_exitcode(status) & 0xFF)
    return posix.getpid()


def _draw_anew():
    """No two environments may draw the same, nor what the process drew that was written down."""
    loaded = sys.modules.get
    if random := loaded("random"):
        random.seed()
    if numpy := loaded("numpy.random"):
        numpy.seed()
    if ssl := loaded("_ssl"):
        ssl.RAND_add(posix.urandom(48), 48.0)
    if uuid := loaded("uuid"):
        # The system's generator keeps a clock sequence of its own.
        uuid._generate_time_safe = uuid._UuidCreate = uuid._last_timestamp = None
        uuid._node = int.from_bytes(posix.urandom(6), "big") | 1 << 40
    if threading := loaded("threading"):
        main = threading.main_thread()
        if hasattr(main, "_set_native_id"):
            main._set_native_id()


def _read_tmp():
    """Folders, links and files of /tmp, each with its rights; a new environment's is empty."""
    found, size, todo = [], 0, ["/tmp"]
    for folder in todo:  # It grows meanwhile.
        for name in posix.listdir(folder):
            path = folder + "/" + name
            about = posix.lstat(path)
            kind, mode = about.st_mode & 0o170000, about.st_mode & 0o7777
            if path == "/tmp/lost+found":
                continue
            if kind == 0o040000:
                todo.append(path)
                found.append((kind, path, mode, None))
            elif kind == 0o120000:
                found.append((kind, path, mode, posix.readlink(path)))
            elif kind == 0o100000:
                size += about.st_size
                if size > TMP_BYTES:
                    text = "more than %d MB in /tmp cannot be part of a snapshot" % (TMP_BYTES >> 20)
                    raise Fault("SnapshotUnsupported", text)
                with open(path, "rb") as file:
                    found.append((kind, path, mode, file.read()))
    return found


def _write_tmp(found):
    for kind, path, mode, content in found:
        if kind == 0o040000:
            try:
                posix.mkdir(path, 0o700)
            except FileExistsError:  # Something in it is open.
                pass
        elif kind == 0o120000:
            posix.symlink(content, path)
        else:
            # It may be there, and open, already.
            with open(posix.open(path, posix.O_WRONLY | posix.O_CREAT, 0o600), "wb") as file:
                file.write(content)
    for kind, path, mode, _ in reversed(found):
        if kind != 0o120000:
            posix.chmod(path, mode)
