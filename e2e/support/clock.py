"""The clock of a server that was started with --clock manual."""

import urllib.error
import urllib.request
import json

MANUAL = ("--clock", "manual")


def now_ms(server):
    with urllib.request.urlopen(f"{server.url}/_hearth/clock") as answer:
        return json.load(answer)["nowMs"]


def advance(server, by):
    """Moves it on; what became due is done when this returns. What time it is then, in milliseconds since 1970."""
    request = urllib.request.Request(f"{server.url}/_hearth/clock", json.dumps({"advance": by}).encode(), method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["nowMs"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{error.code} {error.read().decode()}") from None
