"""Compares one answer with the recorded one, strictly or leniently; a difference is one line of text."""

import json

from harness.answers import error_code, parsed, status

ABSENT = object()
MESSAGES = ("Message", "message")


def strict(recorded, answer, bindings):
    """All differences: every member counts, and a placeholder's number is the same value all through the scenario."""
    other_kind = _kind(recorded, answer)
    return [other_kind] if other_kind else list(_strict(recorded, answer, "", bindings))


def lenient(recorded, answer, bindings):
    """The differences that most clients would notice: status, error code, members that are missing or other values.
    Texts of errors, members beyond the recorded ones and which placeholder is which do not count."""
    other_kind = _kind(recorded, answer)
    if other_kind:
        return [other_kind]
    if status(recorded) != status(answer):
        return [_line("HTTP status", status(recorded), status(answer))]
    return list(_lenient(recorded, answer, "", bindings))


def _kind(recorded, answer):
    """One line where another error came, or success where an error was recorded or the other way round."""
    if not isinstance(answer, dict) or error_code(recorded) == error_code(answer):
        return None
    return _line("answer", _outcome(recorded), _outcome(answer), f"HTTP status {status(answer)}")


def _outcome(answer):
    return answer["Error"] if error_code(answer) else "success"


def _strict(recorded, answer, path, bindings):
    if isinstance(recorded, dict):
        answer = _as(dict, answer)
        if not isinstance(answer, dict):
            yield _line(path, recorded, answer)
            return
        for key, value in recorded.items():
            if key not in answer:
                yield _line(f"{path}.{key}", value, ABSENT)
            elif key == "ResponseMetadata":
                yield from _status(value, answer[key], path)
            else:
                yield from _strict(value, answer[key], f"{path}.{key}", bindings)
        yield from (_line(f"{path}.{key}", ABSENT, answer[key]) for key in sorted(answer.keys() - recorded.keys()))
    elif isinstance(recorded, list):
        yield from _list(recorded, answer, path, bindings, _strict)
    else:
        yield from _scalar(recorded, answer, path, bindings)


def _lenient(recorded, answer, path, bindings):
    if isinstance(recorded, dict):
        answer = _as(dict, answer)
        if not isinstance(answer, dict):
            yield _line(path, recorded, answer)
            return
        keys = [key for key in recorded if not (key in MESSAGES and _is_error(recorded, path))]
        for key in keys:
            if key not in answer:
                yield _line(f"{path}.{key}", recorded[key], ABSENT)
            elif key == "ResponseMetadata":
                yield from _status(recorded[key], answer[key], path)
            else:
                yield from _lenient(recorded[key], answer[key], f"{path}.{key}", bindings)
    elif isinstance(recorded, list):
        yield from _list(recorded, answer, path, bindings, _lenient)
    else:
        yield from _scalar(recorded, answer, path, bindings)


def _list(recorded, answer, path, bindings, each):
    answer = _as(list, answer)
    if not isinstance(answer, list) or len(answer) != len(recorded):
        yield _line(path, recorded, answer)
        return
    for at, (one, other) in enumerate(zip(recorded, answer)):
        yield from each(one, other, f"{path}[{at}]", bindings)


def _scalar(recorded, answer, path, bindings):
    if isinstance(recorded, str):
        why = bindings.mismatch(recorded, answer)
        if why:
            yield _line(path, recorded, answer, "" if why == "differs" else why)
    elif type(recorded) is not type(answer) or recorded != answer:
        yield _line(path, recorded, answer)


def _status(recorded, answer, path):
    """Of the metadata only the status was recorded on purpose."""
    if recorded.get("HTTPStatusCode") != answer.get("HTTPStatusCode"):
        yield _line(f"{path} HTTP status", recorded.get("HTTPStatusCode"), answer.get("HTTPStatusCode"))


def _is_error(recorded, path):
    return "Error" in recorded or path.endswith(".Error")


def _as(kind, answer):
    """A text that is JSON was recorded parsed."""
    if isinstance(answer, str):
        value = parsed(answer)
        return value if isinstance(value, kind) else answer
    return answer


def _line(path, recorded, answer, why=""):
    why = f" ({why})" if why else ""
    return f"{path.lstrip('.') or 'answer'}: recorded {shown(recorded)}, got {shown(answer)}{why}"


def shown(value):
    """A value for people: whole where it is short."""
    if value is ABSENT:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
    return repr(text) if isinstance(value, str) else text
