"""L. Logs, metrics, results."""

import base64
import os
import subprocess

from hostile.catalogue import absent, elsewhere, row
from support.server import HEARTH, wait_until


def shown(world, function, mark, *words):
    """What `hearth logs` shows, once this is in it."""
    found = []

    def look():
        command = [HEARTH, "logs", function.name, "--endpoint", world.server.url, *words]
        found[:] = [world.call(subprocess.run, command, capture_output=True, timeout=30).stdout]
        return mark in found[0]

    wait_until(look, 60, lambda: f"{mark} is not shown: {found}")
    return found[0]


def raw(world):
    """What is shown escaped is stored as it came."""

    def attack(event, got):
        print("\x1b[31mred and raw")

    function = world.function(attack)
    world.ask(function)
    wait_until(lambda: any(b"red and raw" in path.read_bytes() for path in world.logs()), 60, "nothing was logged")
    return ["stored"] if any(b"\\u001b[31mred" in data or b"\x1b[31mred" in data for data in (path.read_bytes() for path in world.logs())) else []


@row("L02", "attack who looks at the log: escapes, overwriting, bidirectional text", control=raw)
def l02(world):
    def attack(event, got):
        os.write(1, b"\x1b[2J\x1b]0;title\x07 over\rwritten \x00 \xff\xfe \xe2\x80\xae gnp.exe \x9b31m " + b"c" * 10_000 + b"the end\n")

    function = world.function(attack)
    world.ask(function)
    text = shown(world, function, b"the end")
    bad = {"escape": b"\x1b", "bell": b"\x07", "return": b"\r", "nul": b"\0", "right to left": b"\xe2\x80\xae", "c1": b"\xc2\x9b"}
    return [name for name, mark in bad.items() if mark in text]


@row("L04", "write to another function's log group", why="a line's group is that of the pipe that it came by; a function names none")
def l04(world):
    def attack(event, got):
        for line in event:
            print(line)

    function = world.function(attack)
    lines = ["/aws/lambda/bystander forged-group", '{"logGroup": "/aws/lambda/bystander", "message": "forged-group"}']
    world.ask(function, lines)
    shown(world, function, b"forged-group")
    own = [path.parent for path in (world.server.data / "logs").rglob("group.json") if "/bystander" in path.read_text()]
    return [f"in {path}" for folder in own for path in folder.iterdir() if path.is_file() and b"forged-group" in path.read_bytes()]


def own_tail(world):
    """The tail has the invoke's own lines."""

    def attack(event, got):
        print("of this invoke")

    tail = world.invoke(world.function(attack), LogType="Tail")["LogResult"]
    return ["own"] if b"of this invoke" in base64.b64decode(tail) else []


@row("L06", "see other invokes' lines in the tail of the log", control=own_tail)
def l06(world):
    def attack(event, got):
        print(event)

    function = world.function(attack)
    world.invoke(function, "line-of-the-first")
    tail = base64.b64decode(world.invoke(function, "line-of-the-second", LogType="Tail")["LogResult"])
    return [mark for mark in ("line-of-the-first", *world.canaries.values()) if mark.encode() in tail] + (["too long"] if len(tail) > 4096 else [])


@row("L07", "have names, errors and lines expanded", why="nothing is ever formatted or looked up: what goes in comes out, which is what is shown")
def l07(world):
    def attack(event, got):
        print(event)
        return event

    text = "${jndi:ldap://127.0.0.1:9000/x} %s%n%x {} {0} $(id) `id` {{7*7}}"
    world.visits.clear()
    function = world.function(attack, Description=text)
    said = world.ask(function, text)["said"]
    log = shown(world, function, b"jndi")
    got = [] if said == text else [f"answer: {said}"]
    got += [] if text.encode() in log else ["log: changed"]
    got += [] if world.call(world.client.get_function, FunctionName=function.name)["Configuration"]["Description"] == text else ["description: changed"]
    return got + [f"visited: {visit}" for visit in world.visits]


elsewhere("L01", "forge START, END, REPORT and records of the platform", "test_logs.py::test_forged_platform_lines_do_not_hide_the_real_ones")
elsewhere("L02-cli", "escapes in `hearth logs`", "test_logs.py::test_terminal_escapes_are_shown_not_sent")
absent({"L03": "attack a console in the browser", "L05": "very many names of metrics"}, "there is no console, and metrics in the embedded format are kept as lines only")
