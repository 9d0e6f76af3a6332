"""What the bootstrap needs only now and then: faults, error objects, logging, unusual values."""
import sys

import bootstrap


class Fault(Exception):
    """A failure with a `Runtime.` type of its own instead of an exception of the function's code."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.message, self.trace = "Runtime." + kind, message, list(trace)


def malformed_handler(name):
    return Fault("MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)")


def built_in_module(module):
    return Fault("BuiltInModuleConflict", f"Cannot use built-in module {module} as a handler module")


def handler_not_found(module, function):
    return Fault("HandlerNotFound", f"Handler '{function}' missing on module '{module}'")


def import_fault(module, error):
    if isinstance(error, SyntaxError):
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        return Fault("UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", [where])
    return Fault("ImportModuleError", f"Unable to import module '{module}': {error}")


def unmarshal_fault(data):
    import json
    try:
        json.loads(data)
        reason = "not accepted as JSON"
    except Exception as error:
        reason = str(error)
    return Fault("UnmarshalError", f"Unable to unmarshal input: {reason}")


def to_json(value, quote):
    """JSON of a value with parts that the plain encoder refuses or takes for something else, as Lambda's own encoder
    (simplejson) has it: a Decimal is a number with all its digits, what has `_asdict` is an object, bytes are text."""
    import _json
    try:
        numbers = _Numbers()
        encode = _json.make_encoder({}, _refuse, quote, None, ": ", ", ", False, False, True)
        text = "".join(encode(_plain(value, numbers, set()), 0))
        for mark, number in numbers.texts.items():
            text = text.replace(mark, number, 1)
        return text.encode("utf-8")
    except Exception as error:
        raise Fault("MarshalError", f"Unable to marshal response: {error}") from None


class _Numbers:
    """Numbers that are put where a mark of theirs stands, once the rest is text."""

    def __init__(self):
        import os
        self._salt, self.texts = os.urandom(16).hex(), {}

    def mark(self, number):
        mark = f"{self._salt}{len(self.texts)}."
        self.texts[f'"{mark}"'] = str(number)
        return mark


def _refuse(part):
    raise TypeError(f"Object of type {type(part).__name__} is not JSON serializable")


def _plain(value, numbers, above):
    """The value in the plain encoder's own types. `above` are the ids of what it is in."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if id(value) in above:
        raise ValueError("Circular reference detected")
    inside = above | {id(value)}
    if isinstance(value, list):
        return [_plain(part, numbers, inside) for part in value]
    fields = getattr(value, "_asdict", None)
    if callable(fields):
        return _plain(fields(), numbers, inside)
    if isinstance(value, tuple):
        return [_plain(part, numbers, inside) for part in value]
    if isinstance(value, dict):
        return {_key(key): _plain(part, numbers, inside) for key, part in value.items()}
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return float("nan") if value.is_nan() else numbers.mark(value)
    return _refuse(value)


def _key(key):
    if isinstance(key, bytes):
        return key.decode("utf-8")
    if key is None or isinstance(key, (str, int, float)):
        return key
    raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")


def _frames(error):
    """The frames of the function's own code: those of the bootstrap, which called it, are left out. Without the columns
    that newer Pythons underline: the service's traces have none."""
    import traceback
    frames = list(traceback.extract_tb(error.__traceback__))
    own = next((i for i, frame in enumerate(frames) if not frame.filename.endswith("/bootstrap.py")), 0)
    return [(frame.filename, frame.lineno, frame.name, frame.line) for frame in frames[own:]]


def _cause(kind, message, frames):
    """A header with the exception for the invoke's trace: its words' beginning, and the last frames."""
    stack = [{"path": path, "line": line or 0, "label": label} for path, line, label, _ in frames[-256:]]
    cause = {"exceptions": [{"type": kind, "message": message[:4096], "stack": stack}]}
    return b"Lambda-Runtime-Function-XRay-Error-Cause: %b\r\n" % _ascii_json(cause)


def _text(error):
    try:
        return str(error)
    except Exception as broken:
        return f"<the exception's text raised {type(broken).__name__}>"


def error_message(path, error, request_id):
    """The POST for an exception, which is logged too."""
    if isinstance(error, Fault):
        kind, message, stack, frames = error.kind, error.message, error.trace, []
    else:
        import traceback
        kind, message, frames = type(error).__name__, _text(error), _frames(error)
        stack = traceback.format_list(frames)
    _log_error(kind, message, stack, request_id)
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}
    typed = kind if isinstance(error, Fault) else "Runtime.Unknown" if path == b"init/error" else "Function.Unknown"
    header = b"Lambda-Runtime-Function-Error-Type: %b\r\n" % typed.encode()
    # Before the first invoke nobody knows whether it is traced.
    if path == b"init/error" or "Sampled=1" in bootstrap.variable("_X_AMZN_TRACE_ID", ""):
        header += _cause(kind, message, frames)
    return bootstrap.post(path, _ascii_json(body), headers=header)


def _ascii_json(value):
    import _json
    encode = _json.make_encoder({}, str, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(encode(value, 0)).encode("ascii")


def _logs_json():
    return bootstrap.variable("AWS_LAMBDA_LOG_FORMAT") == "JSON"


def _json_line(members):
    """A log event of the members that have a value."""
    import json
    return json.dumps({k: v for k, v in members.items() if v is not None}, ensure_ascii=False, default=str) + "\n"


def _log_error(kind, message, stack, request_id):
    """One log event: no newline inside, and indentation that log viewers keep."""
    if _logs_json():
        import time
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _write_event(_json_line({"timestamp": at, "level": "ERROR", "errorMessage": message, "errorType": kind,
                                 "requestId": request_id, "stackTrace": stack}))
        return
    lines = [f"[ERROR] {kind}: {message}" if message else f"[ERROR] {kind}", "Traceback (most recent call last):"]
    for entry in stack:
        for line in entry.rstrip("\n").split("\n"):
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    _write_event("\r".join(lines).replace("\n", "\r") + "\n")


def _write_event(event):
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(event.encode("utf-8", "replace"))
        sys.stdout.flush()
    except Exception:  # The function may have replaced or closed its output; the error is reported all the same.
        pass


LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}


def set_up_logging(logging, current):
    """The root logger's handler as functions find it on Lambda. Its level stays WARNING, unless one is set for JSON."""
    import time

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id
            return True

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            try:
                sys.stdout.write(self.format(record))
                sys.stdout.flush()
            except Exception:
                self.handleError(record)

    class TextFormatter(logging.Formatter):
        converter = time.gmtime

        def format(self, record):
            return super().format(record).replace("\n", "\r") + "\n"

    # What every record has; the rest is what the function added to one.
    usual = {*vars(logging.makeLogRecord({})), "message", "asctime", "aws_request_id"}

    class JsonFormatter(logging.Formatter):
        converter = time.gmtime

        def format(self, record):
            raised, error, trace = record.exc_info or (None, None, None)
            members = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "stackTrace": raised and self._stack(trace),
                "errorType": raised and raised.__name__,
                "errorMessage": raised and str(error),
                "requestId": record.aws_request_id or None,
                "tenantId": current.tenant_id,
                "location": raised and f"{record.pathname}:{record.funcName}:{record.lineno}",
            }
            added = {name: value for name, value in vars(record).items() if name not in usual and name not in members}
            return _json_line({**members, **added})

        @staticmethod
        def _stack(trace):
            import traceback
            return traceback.format_tb(trace)

    if _logs_json():
        formatter = JsonFormatter()
        level = LEVELS.get(bootstrap.variable("AWS_LAMBDA_LOG_LEVEL", "").upper())
        if level:
            logging.root.setLevel(level)
    else:
        formatter = TextFormatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    handler = LambdaLoggerHandler()
    handler.setFormatter(formatter)
    handler.addFilter(LambdaLoggerFilter())
    logging.root.addHandler(handler)


def _shown(thing):
    return "%s([%s])" % (type(thing).__name__, ",".join("%s=%s" % member for member in vars(thing).items()))


class Client:
    __repr__ = _shown

    def __init__(self, values):
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, values.get(name))


class ClientContext:
    __repr__ = _shown

    def __init__(self, values):
        self.custom = values.get("custom")
        self.env = values.get("env")
        client = values.get("client")
        self.client = Client(client) if isinstance(client, dict) else None


def _parsed(data, what):
    import json
    try:
        value = json.loads(data)
        if isinstance(value, dict):
            return value
        reason = f"{type(value).__name__} is no object"
    except ValueError as error:
        reason = str(error)
    raise Fault("LambdaContextUnmarshalError", f"Unable to parse {what} JSON: {reason}")


def client_context(data):
    return ClientContext(_parsed(data, "Client Context"))


def identity(data):
    values = _parsed(data, "Cognito Identity")
    return bootstrap.CognitoIdentity(values.get("cognitoIdentityId"), values.get("cognitoIdentityPoolId"))
