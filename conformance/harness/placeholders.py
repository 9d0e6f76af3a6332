"""Recorded strings with placeholders: what a string of an answer must look like, and what it then binds."""

import datetime
import re

PLACEHOLDER = re.compile(r"<([a-zA-Z_][\w ./-]*?)(?::(\d+))?>")
NESTED = re.compile(r"<<([\w-]+)>:(\d+)>")
RUN = re.compile(r"<(\w):len\((\d+)\)>")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# What a value of a kind looks like; any other kind is any text.
KINDS = {
    "uuid": UUID,
    "request-id": UUID,
    "code-sha256": r"[A-Za-z0-9+/]{43}=|[0-9a-f]{64}",
    "code-sha-256": r"[A-Za-z0-9+/]{43}=",
    "function-name": r"[A-Za-z0-9_-]+",
    "alias-name": r"[A-Za-z0-9_-]+",
    "location": r"https?://.+",
    "layer-location": r"https?://.+",
    "function-url": r"https?://.+",
}
# Whole values that stand for another one without being marked as placeholders.
TIMES = ("date", "datetime", "timestamp")
WORDS = {"lambda-url": "function-url", "function-url": "function-url", "code-sha256": "code-sha256", "event-id": "event-id"}
NUMBERS = ("code-size", "duration", "remaining-time-in-millis")
TIME_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}.*")


class Bindings:
    """What placeholders stand for, over all answers of one scenario."""

    def __init__(self, given=()):
        self.given = {"region": "us-east-1", "partition": "aws", **dict(given)}
        self.bound = {}

    def mismatch(self, recorded, value):
        """Why `value` is not what the recorded string says; None if it is. Binds placeholders that match."""
        if recorded in TIMES:
            return None if is_time(value) else "no time"
        if recorded in WORDS:
            return unnumbered(WORDS[recorded], value)
        whole = PLACEHOLDER.fullmatch(recorded)
        if whole and not whole[2] and whole[1] not in self.given:
            return unnumbered(whole[1], value)
        if not isinstance(value, str):
            return "no string"
        pattern, new = self.pattern(recorded)
        found = pattern.fullmatch(value)
        if not found:
            return "differs"
        return self.bind({key: found[name] for key, name in new.items()})

    def pattern(self, recorded):
        """The recorded string as an expression, and the group of each placeholder that is not bound yet."""
        recorded = NESTED.sub(r"<\1:\2>", RUN.sub(lambda run: run[1] * int(run[2]), recorded))
        parts, new, at = [], {}, 0
        for found in PLACEHOLDER.finditer(recorded):
            parts.append(re.escape(recorded[at : found.start()]))
            parts.append(self.part(found[1], found[2], new))
            at = found.end()
        parts.append(re.escape(recorded[at:]))
        return re.compile("".join(parts), re.DOTALL), new

    def part(self, kind, number, new):
        """The expression of one placeholder."""
        key = (kind, number)
        if kind in self.given and not number:
            return re.escape(str(self.given[kind]))
        if key in self.bound:
            return re.escape(self.bound[key])
        shape = KINDS.get(kind, ".+?")
        if not number:
            return f"(?:{shape})"
        if key in new:
            return f"(?P={new[key]})"
        new[key] = f"p{len(new)}"
        return f"(?P<{new[key]}>{shape})"

    def bind(self, found):
        """Remembers values; two numbers of one kind never stand for the same value."""
        for (kind, number), value in found.items():
            for (other_kind, other), known in self.bound.items():
                if other_kind == kind and known == value:
                    return f"<{kind}:{number}> has the value of <{kind}:{other}>"
        self.bound.update(found)
        return None


def unnumbered(kind, value):
    """Why `value` is not of the kind; None if it is."""
    if kind in NUMBERS:
        return None if isinstance(value, (int, float)) else "no number"
    if kind == "datetime":
        return None if is_time(value) else "no time"
    if kind in KINDS:
        return None if isinstance(value, str) and re.fullmatch(KINDS[kind], value) else f"no {kind}"
    return None if value not in (None, "") else "nothing there"


def is_time(value):
    """A time as boto3 gives it, as text, or as a number of seconds or milliseconds."""
    if isinstance(value, str):
        return TIME_TEXT.fullmatch(value) is not None
    return isinstance(value, (datetime.datetime, int, float)) and not isinstance(value, bool)


class Shapes(Bindings):
    """Placeholders by their shape alone: which one is which does not count."""

    def bind(self, found):
        return None
