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
    """JSON of a value with parts that the plain encoder refuses: a Decimal is a number with all its digits."""
    import _json
    import decimal
    import os
    numbers, salt = {}, os.urandom(16).hex()

    def special(part):
        if isinstance(part, decimal.Decimal):
            if part.is_nan():
                return float("nan")
            mark = f"{salt}{len(numbers)}."
            numbers[f'"{mark}"'] = str(part)
            return mark
        raise TypeError(f"Object of type {type(part).__name__} is not JSON serializable")

    try:
        encode = _json.make_encoder({}, special, quote, None, ": ", ", ", False, False, True)
        text = "".join(encode(value, 0))
        for mark, number in numbers.items():
            text = text.replace(mark, number, 1)
        return text.encode("utf-8")
    except Exception as error:
        raise Fault("MarshalError", f"Unable to marshal response: {error}") from None


def _stack(error):
    """The frames of the function's own code: those of the bootstrap, which called it, are left out."""
    import traceback
    frames = list(traceback.extract_tb(error.__traceback__))
    own = next((i for i, frame in enumerate(frames) if not frame.filename.endswith("/bootstrap.py")), 0)
    return traceback.format_list(frames[own:])


def _text(error):
    try:
        return str(error)
    except Exception as broken:
        return f"<the exception's text raised {type(broken).__name__}>"


def error_message(path, error, request_id):
    """The POST for an exception, which is logged too."""
    if isinstance(error, Fault):
        kind, message, stack = error.kind, error.message, error.trace
    else:
        kind, message, stack = type(error).__name__, _text(error), _stack(error)
    _log_error(kind, message, stack)
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}
    typed = kind if isinstance(error, Fault) else "Runtime.Unknown" if path == b"init/error" else "Function.Unknown"
    header = b"Lambda-Runtime-Function-Error-Type: %b\r\n" % typed.encode()
    return bootstrap.post(path, _ascii_json(body), headers=header)


def _ascii_json(value):
    import _json
    encode = _json.make_encoder({}, str, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(encode(value, 0)).encode("ascii")


def _log_error(kind, message, stack):
    """One log event: no newline inside, and indentation that log viewers keep."""
    lines = [f"[ERROR] {kind}: {message}", "Traceback (most recent call last):"]
    for entry in stack:
        for line in entry.rstrip("\n").split("\n"):
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    event = "\r".join(lines).replace("\n", "\r") + "\n"
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(event.encode("utf-8", "replace"))
        sys.stdout.flush()
    except Exception:  # The function may have replaced or closed its output; the error is reported all the same.
        pass


def set_up_logging(logging, current):
    """The root logger's handler as functions find it on Lambda; its level stays WARNING."""
    import time

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id
            return True

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            try:
                sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")
                sys.stdout.flush()
            except Exception:
                self.handleError(record)

    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = LambdaLoggerHandler()
    handler.setFormatter(formatter)
    handler.addFilter(LambdaLoggerFilter())
    logging.root.addHandler(handler)


class Client:
    def __init__(self, values):
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, values.get(name))


class ClientContext:
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
