"""Requests that must be refused: how a case is written, asked and judged."""

import base64
import re

from support import raw
from support.packages import zip_of

FUNCTIONS = "/2015-03-31/functions"
MAPPINGS = "/2015-03-31/event-source-mappings"
LAYERS = "/2018-10-31/layers"
SIGNING = "/2020-04-22/code-signing-configs"
ACCOUNT, REGION = "000000000000", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"
CODE = "def handler(event, context):\n    return event\n"
ZIP = base64.b64encode(zip_of({"app.py": CODE})).decode()

# The errors by the short names that the catalogue uses: name, status.
IPV = ("InvalidParameterValueException", 400)
VAL = ("ValidationException", 400)
SER = ("SerializationException", 400)
IRC = ("InvalidRequestContentException", 400)
RNF = ("ResourceNotFoundException", 404)
RCE = ("ResourceConflictException", 409)
PCF = ("PreconditionFailedException", 412)
TMR = ("TooManyRequestsException", 429)
UNK = ("UnknownOperationException", 404)
ADE = ("AccessDeniedException", 403)
BIG = ("RequestEntityTooLargeException", 413)
RTL = ("RequestTooLargeException", 413)

# What no answer may tell of the inside.
INSIDE = re.compile(r"panicked|\.rs\b|Traceback|SELECT |sqlite|/(work|root|home|tmp|usr|var/lib)/", re.IGNORECASE)
# Errors whose body has no Type, as recorded.
WITHOUT_TYPE = ("code signing configuration", "UnreservedConcurrentExecution", "total provisioned concurrency", "$LATEST is not supported")


class Ask:
    """One request as it is to be sent."""

    def __init__(self, method, path, body=b"", headers=()):
        self.method, self.path, self.body, self.headers = method, path, body, headers

    def of(self, server):
        return raw.request(server, self.method, self.path, self.body, self.headers)


def broken(value, member, constraint):
    """The words for one broken constraint of the model."""
    return f"Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


def errors(*texts):
    """The words of a whole ValidationException."""
    if len(texts) == 1:
        return f"1 validation error detected: {texts[0]}"
    return f"{len(texts)} validation errors detected: {'; '.join(texts)}"


def judge(answer, error, text=None):
    """That an answer is the error, whole and silent about the inside. `text`: the whole message, or a pattern of it."""
    name, status = error
    assert answer is not None and (answer.status, answer.error) == (status, name), answer
    assert answer.headers["x-amzn-requestid"], answer
    body = answer.json
    assert set(body) & {"message", "Message"}, answer
    assert body.get("Type", "User") == "User" and ("Type" in body or any(w in answer.message for w in WITHOUT_TYPE)), answer
    assert not INSIDE.search(answer.body.decode()), answer
    if isinstance(text, re.Pattern):
        assert text.search(answer.message), answer
    elif text is not None:
        assert answer.message == text, answer


def state(server, function, layer):
    """All that a refused request must leave as it was."""
    lists = [
        f"{FUNCTIONS}?FunctionVersion=ALL",
        f"{FUNCTIONS}/{function}",
        f"{FUNCTIONS}/{function}/aliases",
        f"{FUNCTIONS}/{function}/policy",
        f"{FUNCTIONS}/{function}/policy?Qualifier=live",
        f"/2019-09-30/functions/{function}/concurrency",
        f"/2019-09-25/functions/{function}/event-invoke-config/list",
        f"/2021-10-31/functions/{function}/urls",
        f"/2019-09-30/functions/{function}/provisioned-concurrency?List=ALL",
        f"{MAPPINGS}",
        f"{LAYERS}/{layer}/versions",
        f"{LAYERS}/{layer}/versions/1/policy",
        SIGNING,
    ]
    with raw.connect(server) as sock:
        answers = [raw.request(server, "GET", path, sock=sock) for path in lists]
    # What is kept of a package in any case: small ones have no file of their own.
    trees = server.data / "code"
    links = re.compile(r'"Location":"[^"]*"')
    return [(a.status, links.sub("", a.body.decode())) for a in answers], {tree.name for tree in trees.iterdir() if not tree.name.startswith(".")}
