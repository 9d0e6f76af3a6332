"""Runs a Python function: asks the Runtime API for one event after the other and gives each to the handler.

Standard library only, and little of it: what an import costs here, each cold start pays. Errors, logging and whatever
else most invokes do without are in `_hearth_rare`.
"""
import sys

import _json
import _socket
import posix
import time

JSON = b"application/json"
# The variable that says that this process is started ahead, and the descriptor that it is to wait at.
AHEAD, ASSIGNMENT = b"_HEARTH_AHEAD", 63
RESTORE = b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: runtime\r\n\r\n"


def variable(name, otherwise=None):
    """A variable of the environment this process was started with: the os module costs more than a millisecond."""
    value = posix.environ.get(name.encode())
    return otherwise if value is None else value.decode("utf-8", "surrogateescape")


def set_variable(name, value):
    """Sets a variable, or removes it, wherever the function may look for it."""
    os = sys.modules.get("os")
    if os is not None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    elif value is None:
        if posix.environ.pop(name.encode(), None) is not None:
            posix.unsetenv(name)
    else:
        posix.environ[name.encode()] = value.encode()
        posix.putenv(name, value)


class RuntimeApi:
    """One kept-alive connection. A message is one send; answers always have a Content-Length."""

    NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n"

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self._socket.connect((host, int(port)))
        self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._rest = b""

    def send(self, message):
        self._socket.sendall(message)

    def receive(self):
        """The next answer: status, headers by lower-case name, body."""
        data, recv = self._rest, self._socket.recv
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._some(recv(65536))
        lines = data[:end].split(b"\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        start, length = end + 4, int(headers.get(b"content-length", b"0"))
        missing = start + length - len(data)
        if missing > 0:
            parts = [data]
            while missing > 0:
                part = self._some(recv(min(missing, 1 << 20)))
                parts.append(part)
                missing -= len(part)
            data = b"".join(parts)
        self._rest = data[start + length:]
        return int(lines[0].split(b" ", 2)[1]), headers, data[start:start + length]

    @staticmethod
    def _some(data):
        if not data:
            raise ConnectionError("the Runtime API closed the connection")
        return data


def post(path, body, content_type=JSON, headers=b""):
    """The bytes of a POST below /runtime/."""
    return b"POST /2018-06-01/runtime/%b HTTP/1.1\r\nHost: runtime\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path, content_type, headers, len(body), body)


class _Decode:
    """The settings that the C scanner of the json module reads; the module itself takes too long to import."""
    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float, parse_int = float, int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
    memo = {}


_scan = _json.make_scanner(_Decode())
_WHITESPACE = " \t\n\r"


def from_json(data):
    try:
        text = data.decode("utf-8").strip(_WHITESPACE)
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except Exception:  # Of several kinds; some versions cannot raise theirs while the json module is not loaded.
        pass
    import _hearth_rare
    raise _hearth_rare.unmarshal_fault(data)


# As on Lambda: text is written as it is from Python 3.12 on, escaped to ASCII before.
_quote = _json.encode_basestring if sys.version_info >= (3, 12) else _json.encode_basestring_ascii


def _no_json(value):
    raise _Special


class _Special(Exception):
    """The value holds something that plain JSON types do not cover."""


_SCALARS = frozenset((str, int, float, bool, type(None)))


def _holds_named_tuple(value):
    """Whether a named tuple is somewhere in it: an object on Lambda, but an array for the encoder here."""
    todo, seen = [value], set()
    for one in todo:  # It grows meanwhile.
        if isinstance(one, dict):
            parts = one.values()
        elif isinstance(one, list):
            parts = one
        elif isinstance(one, tuple):
            if hasattr(one, "_asdict"):
                return True
            parts = one
        else:
            continue
        if not _SCALARS.issuperset(map(type, parts)) and id(one) not in seen:
            seen.add(id(one))
            todo.extend(parts)
    return False


def to_json(value):
    try:
        if "collections" in sys.modules and _holds_named_tuple(value):
            raise _Special
        encode = _json.make_encoder({}, _no_json, _quote, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0)).encode("utf-8")
    except Exception:
        import _hearth_rare
        return _hearth_rare.to_json(value, _quote)


class LambdaContext:
    """What a handler gets as its second argument."""

    @classmethod
    def set_function(cls):
        cls._function = tuple(map(variable, (
            "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION")))

    def __init__(self, request_id, headers):
        client = headers.get(b"lambda-runtime-client-context")
        identity = headers.get(b"lambda-runtime-cognito-identity")
        tenant = headers.get(b"lambda-runtime-aws-tenant-id")
        # Functions print a context and its members: both in the order that they have on Lambda.
        self.aws_request_id = request_id
        (self.log_group_name, self.log_stream_name, self.function_name, self.memory_limit_in_mb,
         self.function_version) = self._function
        self.invoked_function_arn = headers[b"lambda-runtime-invoked-function-arn"].decode()
        self.tenant_id = tenant.decode() if tenant else None
        self.client_context = None
        self.identity = NO_IDENTITY
        self._epoch_deadline_time_in_ms = int(headers[b"lambda-runtime-deadline-ms"])
        if client or identity:
            import _hearth_rare
            if client:
                self.client_context = _hearth_rare.client_context(client)
            if identity:
                self.identity = _hearth_rare.identity(identity)

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))
        sys.stdout.flush()

    def __repr__(self):
        shown = {name: value for name, value in vars(self).items() if name[0] != "_"}
        shown["tenant_id"] = shown.pop("tenant_id")  # It came late, and is last.
        return "LambdaContext([%s])" % ",".join("%s=%s" % member for member in shown.items())


class CognitoIdentity:
    def __init__(self, identity_id=None, pool_id=None):
        self.cognito_identity_id = identity_id
        self.cognito_identity_pool_id = pool_id

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=%s,cognito_identity_pool_id=%s])" % (
            self.cognito_identity_id, self.cognito_identity_pool_id)


NO_IDENTITY = CognitoIdentity()


class Current:
    """The invoke in progress, for whoever logs."""
    request_id = ""
    tenant_id = None


class _LoggingHook:
    """Gives the root logger its handler right after a function imports logging, which many never do."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        import _frozen_importlib
        spec = _frozen_importlib._find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            import _hearth_rare
            _hearth_rare.set_up_logging(module, Current)

        spec.loader.exec_module = exec_module
        return spec


def set_up_interpreter():
    """What the site module would do, without a look at the machine's packages; output that keeps its order.

    Looks at nothing of the function: that may come later.
    """
    import _sitebuiltins
    import builtins
    import importlib  # For find_handler.
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()
    sys.stdout.reconfigure(line_buffering=True)
    task = variable("LAMBDA_TASK_ROOT", "/var/task")
    here = variable("LAMBDA_RUNTIME_DIR", "/var/runtime")
    layers = ["/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2], "/opt/python"]
    sys.path[:] = [task, *layers, here, *(entry for entry in sys.path if entry not in (task, here))]
    sys.meta_path.insert(0, _LoggingHook())
    sys.modules["bootstrap"] = sys.modules["__main__"]


def wait_for_function(api):
    """Where this process was started ahead of its function: waits to be told its variables, which end the process's own."""
    mark = posix.environ.get(AHEAD)
    if mark is None:
        return
    rehearse()
    # To the last one: where the system keeps them, the function's will be written.
    for name in list(posix.environ):
        posix.unsetenv(name)
    posix.environ.clear()
    told = be_written_down(api) if mark.startswith(b"+") else hear()
    for each in told.split(b"\0")[:-1]:
        name, _, value = each.partition(b"=")
        posix.environ[name] = value
        posix.putenv(name, value)
    posix.chdir(variable("LAMBDA_TASK_ROOT", "/var/task"))  # What was here is below the code now.


def rehearse():
    """Loads a module the way a function's is loaded: what Python makes for the first one, above all the types of syntax
    trees, takes longer than all else of a start from here."""
    import importlib
    path, folders = sys.path[:], sys.path_importer_cache.copy()
    sys.path[:] = [variable("LAMBDA_RUNTIME_DIR", "/var/runtime")]
    importlib.import_module("_hearth_empty")
    sys.path[:] = path
    del sys.modules["_hearth_empty"]
    sys.path_importer_cache.clear()
    sys.path_importer_cache.update(folders)


def hear():
    posix.write(ASSIGNMENT, b"w")
    parts = []
    while part := posix.read(ASSIGNMENT, 65536):
        parts.append(part)
    posix.close(ASSIGNMENT)
    if not parts:  # It is not needed any more.
        posix._exit(0)
    return b"".join(parts)


def be_written_down(api):
    """From here this process goes on in many environments, each of a function of its own."""
    import gc
    del sys.modules["gc"]
    status = posix.open("/proc/self/stat", posix.O_RDONLY)
    start, end = map(int, posix.read(status, 4096).rpartition(b")")[2].split()[47:49])
    posix.close(status)
    gc.collect()
    gc.freeze()  # The collector would write to every page, and so copy it.
    api.send(RESTORE)
    _, _, told = api.receive()
    try:
        memory = posix.open("/proc/self/mem", posix.O_WRONLY)
        posix.pwrite(memory, told.ljust(end - start, b"\0"), start)  # Where the system shows them.
        posix.close(memory)
    except OSError:  # It shows none then.
        pass
    return told


def find_handler(name):
    import importlib
    module_name, dot, function = name.rpartition(".")
    if not dot:
        import _hearth_rare
        raise _hearth_rare.malformed_handler(name)
    if module_name.split(".")[0] in sys.builtin_module_names:
        import _hearth_rare
        raise _hearth_rare.built_in_module(module_name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except (ImportError, SyntaxError) as error:
        import _hearth_rare
        raise _hearth_rare.import_fault(module_name, error) from error
    try:
        return getattr(module, function)
    except AttributeError:
        import _hearth_rare
        raise _hearth_rare.handler_not_found(module_name, function) from None


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # The function may have put anything there; its answer still counts.
            pass


def run_one(handler, headers, body):
    """Gives one event to the handler: the message that says how it went."""
    request_id = headers[b"lambda-runtime-aws-request-id"]
    Current.request_id = request_id.decode()
    trace = headers.get(b"lambda-runtime-trace-id")
    set_variable("_X_AMZN_TRACE_ID", trace.decode() if trace else None)
    content_type = JSON
    try:
        context = LambdaContext(Current.request_id, headers)
        Current.tenant_id = context.tenant_id
        result = handler(from_json(body), context)
        if isinstance(result, bytes):
            content_type = b"application/unknown"
        else:
            result = to_json(result)
    except Exception as error:
        import _hearth_rare
        message = _hearth_rare.error_message(b"invocation/%b/error" % request_id, error, Current.request_id)
        flush()
        return message
    flush()
    return post(b"invocation/%b/response" % request_id, result, content_type)


def main():
    api = RuntimeApi(variable("AWS_LAMBDA_RUNTIME_API"))
    set_up_interpreter()
    wait_for_function(api)
    LambdaContext.set_function()
    try:
        handler = find_handler(variable("_HANDLER"))
        if variable("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            import _hearth_snapshot
            _hearth_snapshot.pause(api)
    except Exception as error:
        import _hearth_rare
        message = _hearth_rare.error_message(b"init/error", error, "")
        flush()
        api.send(message)
        api.receive()
        sys.exit(1)
    flush()
    api.send(api.NEXT)
    while True:
        status, headers, body = api.receive()
        if status != 200:
            raise ConnectionError("the Runtime API answered next with %d: %r" % (status, body))
        # The answer and the wish for more go out in one piece: nothing happens between them.
        api.send(run_one(handler, headers, body) + api.NEXT)
        api.receive()


if __name__ == "__main__":
    main()
