"""I. Runtime interface, extensions, telemetry."""

import json
import time

from hostile.catalogue import elsewhere, row


def answers_itself(world):
    """The same way with the right id is taken: the caller gets what was sent by hand."""

    def attack(event, got):
        got.append(answer(request))

    # The runtime's own answer comes second, and is refused.
    return ["taken"] if world.invoke(world.function(attack))["payload"] == b'"by hand"' else []


@row("I01", "reach the Runtime API, or anything, of another environment", off="network-namespace", least="open")
def i01(world):
    def attack(event, got):
        own = {4566, int(os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)[1])}
        for port in range(1, 1 << 16):
            with socket.socket() as sock:
                if port not in own and sock.connect_ex(("127.0.0.1", port)) == 0 and sock.getsockname() != sock.getpeername():
                    got.append(f"open: {port}")

    return world.run(attack)


@row("I02", "answer an invoke of somebody else, an old one, none", control=answers_itself)
def i02(world):
    def attack(event, got):
        for id in (*event, "00000000-0000-0000-0000-000000000000", "../" + request, request.upper() + "0", "%2e%2e", "x" * 10_000):
            for kind in ("response", "error"):
                status = answer(id, kind=kind)
                if status < 400:
                    got.append(f"{kind} of {id[:40]}: {status}")
        return request

    function = world.function(attack)
    first = world.ask(function, [])
    second = world.ask(function, [first["said"]])
    return first["got"] + second["got"]


@row("I03", "answer twice, in all orders", control=answers_itself)
def i03(world):
    def attack(event, got):
        if event == "tell":
            return [int(line) for line in open("/tmp/statuses")]
        with open("/tmp/statuses", "w") as out:
            for kind in event:
                print(answer(request, f'"{kind}"'.encode(), kind=kind), file=out, flush=True)

    got = []
    for first, second in (("response", "response"), ("response", "error"), ("error", "response"), ("error", "error")):
        function = world.function(attack)
        seen = world.invoke(function, [first, second])
        statuses = world.ask(function, "tell")["said"]
        if statuses[0] != 202 or statuses[1] < 400:
            got.append(f"{first}, {second}: {statuses}")
        if seen["payload"] != f'"{first}"'.encode():
            got.append(f"{first}, {second}: the caller saw {seen['payload']}")
    return got


@row("I04", "ask for the next invoke many times at once", control=answers_itself)
def i04(world):
    def attack(event, got):
        results = []

        def ask():
            try:
                results.append(http("GET", "/2018-06-01/runtime/invocation/next", timeout=0.5))
            except OSError:
                pass

        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got += [f"delivered: {body[:60]!r}" for status, body in results if status == 200]
        return event

    function = world.function(attack)
    got = []
    for n in range(3):
        said = world.ask(function, n)
        got += said["got"] + ([] if said["said"] == n else [f"another's answer: {said}"])
    return got


@row("I05", "answers that are too large, endless, shorter than they say", control=answers_itself)
def i05(world):
    def attack(event, got):
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as sock:
            head = f"POST /2018-06-01/runtime/invocation/{request}/response HTTP/1.1\r\nHost: x\r\n"
            if event == "large":
                sock.sendall((head + f"Content-Length: {7 << 20}\r\n\r\n").encode() + b"1" * (7 << 20))
            elif event == "endless":
                sock.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
                for _ in range(300):
                    sock.sendall(b"100000\r\n" + b"1" * (1 << 20) + b"\r\n")
                sock.sendall(b"0\r\n\r\n")
            elif event == "short":
                sock.sendall((head + "Content-Length: 1000\r\n\r\n").encode() + b'"short')
                sock.shutdown(socket.SHUT_WR)
            elif event == "lie":
                sock.sendall((head + "Content-Length: -1\r\n\r\n").encode() + b'"lie"')
            elif event == "both":
                sock.sendall((head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n").encode() + b'"lie"')
            sock.recv(4096)
        os._exit(3)

    got = []
    for kind, expected in {"large": "Function.ResponseSizeTooLarge", "endless": "Function.ResponseSizeTooLarge", "short": None, "lie": None, "both": None}.items():
        with world.growth() as grown:
            answer = world.invoke(world.function(attack, Timeout=20), kind)
        error = json.loads(answer["payload"])
        if "FunctionError" not in answer or expected and error["errorType"] != expected:
            got.append(f"{kind}: {answer['payload'][:200]}")
        if grown[0] > 64:
            got.append(f"{kind}: the server grew by {grown[0]} MB")
    return got


@row("I07", "error types and errors that are long, deep, broken or try to be headers", control=answers_itself)
def i07(world):
    def attack(event, got):
        headers = {"long": "Function." + "A" * 60_000, "escape": "Function.Bad\x1b[2J", "8-bit": "Function.\xff\xfe", "folded": "Function.Bad\r\n X-Evil: 1"}
        bodies = {"deep": b"[" * 100_000 + b"]" * 100_000, "nul": b'{"errorMessage": "\x00"}', "utf": b'"\xff\xfe"', "empty": b"", "line": b'{"errorMessage": "x\\r\\nX-Evil: 1"}'}
        status = answer(request, bodies.get(event, b"{}"), "error", [("Lambda-Runtime-Function-Error-Type", headers.get(event, "Function.Plain"))])
        if not status or status >= 500:
            got.append(f"status {status}")
        os._exit(0)

    got = []
    for kind in ("long", "escape", "8-bit", "folded", "deep", "nul", "utf", "empty", "line"):
        function = world.function(attack)
        body = json.dumps(kind).encode()
        head = f"POST /2015-03-31/functions/{function.name}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        answer = world.raw(head, body)
        world.said.append(answer)
        lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
        if not lines[0].startswith(b"http/1.1 200"):
            got.append(f"{kind}: {lines[0]}")
        if any(line.startswith(b"x-evil") for line in lines) or b"\x1b" in b"".join(lines):
            got.append(f"{kind}: a header was made")
        if not any(line in (b"x-amz-function-error: unhandled", b"x-amz-function-error: handled") for line in lines):
            got.append(f"{kind}: {lines}")
    return got


@row("I08", "calls that are not due, unknown paths, very long ones, very many headers", control=answers_itself)
def i08(world):
    def attack(event, got):
        calls = [
            ("POST", "/2018-06-01/runtime/init/error"), ("GET", "/2018-06-01/runtime/restore/next"), ("GET", "/1999-01-01/runtime/invocation/next"), ("GET", "/../../etc/passwd"),
            ("GET", "/2018-06-01/runtime/../runtime/invocation/next"), ("GET", "/" + "a" * (1 << 20)), ("BREW", "/2018-06-01/runtime/invocation/next"), ("GET", "*"), ("GET", "http://169.254.169.254/"),
            ("POST", "/2018-06-01/runtime/invocation//response"), ("POST", "/2018-06-01/runtime/invocation/next"),
        ]
        for method, path in calls:
            status, _ = http(method, path, b"{}" if method == "POST" else b"")
            if 0 < status < 400 or status >= 500:
                got.append(f"{method} {path[:60]}: {status}")
        status, _ = http("GET", "/2018-06-01/ping", headers=[(f"x-{n}", "y" * 100) for n in range(100_000)])
        if 0 < status < 400:
            got.append(f"very many headers: {status}")
        return "as before"

    with world.growth() as grown:
        answers = [world.ask(function, None) for function in [world.function(attack)] * 2]
    got = [what for answer in answers for what in answer["got"]]
    got += [f"state: {answer}" for answer in answers if answer["said"] != "as before"]
    return got + ([f"the server grew by {grown[0]} MB"] if grown[0] > 64 else [])


@row("I09", "register extensions late, very many, under others' names", why="what is shown is each refusal; registering in time is what extensions of the tests in e2e/tests do")
def i09(world):
    def attack(event, got):
        for n in range(20):
            status, _ = http("POST", "/2020-01-01/extension/register", b'{"events": []}', [("Lambda-Extension-Name", f"late-{n}")])
            if status < 400:
                got.append(f"registered after init: {n}")

    return world.run(attack)


@row("I10", "speak as an extension that one is not", why="an identifier is random and of one environment: there is no defence to leave out but the comparison itself")
def i10(world):
    def attack(event, got):
        for id in ("", "x", "00000000-0000-0000-0000-000000000000", "A" * 10_000):
            for method, path in (("GET", "/2020-01-01/extension/event/next"), ("POST", "/2020-01-01/extension/init/error"), ("POST", "/2020-01-01/extension/exit/error"), ("PUT", "/2022-07-01/telemetry"), ("PUT", "/2020-08-15/logs")):
                status, _ = http(method, path, b"{}" if method != "GET" else b"", [("Lambda-Extension-Identifier", id), ("Lambda-Extension-Function-Error-Type", "Extension.X")])
                if 0 < status < 400:
                    got.append(f"{path} as {id[:40]!r}: {status}")

    return world.run(attack)


def works_in_time(world):
    """The same function below its limit is answered."""

    def attack(event, got):
        return event

    return ["answered"] if world.ask(world.function(attack, Timeout=5), 7)["said"] == 7 else []


@row("I12", "use the processor between invokes", off="freeze", least="used")
def i12(world):
    def attack(event, got):
        if event == "start":

            def burn():
                while True:
                    pass

            threading.Thread(target=burn, daemon=True).start()
        return time.process_time()

    function = world.function(attack)
    first = world.ask(function, "start")["said"]
    time.sleep(4)
    used = world.ask(function, "look")["said"] - first
    return [f"used: {used:.2f} s of processor time"] if used > 1 else []


@row("I13", "go on beyond the time limit: ignore signals, never answer, close the connection", control=works_in_time)
def i13(world):
    def attack(event, got):
        for number in range(1, 32):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_IGN)
        for fd in range(3, 64) if event == "close" else ():
            try:
                os.close(fd)
            except OSError:
                pass
        if event == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if event == "fork":
            while os.fork() != 0 and len(os.listdir("/proc")) < 600:
                pass
        while True:
            pass

    got = []
    for kind in ("busy", "close", "stop", "fork"):
        answer = world.invoke(world.function(attack, Timeout=1), kind)
        if json.loads(answer["payload"]).get("errorType") != "Sandbox.Timedout":
            got.append(f"{kind}: {answer['payload']}")
    return got


@row("I14", "have a payload delivered again", control=answers_itself)
def i14(world):
    def attack(event, got):
        if event == "again":
            # Answered by hand: what comes next is not this one once more.
            answer(request, b'"first"')
            try:
                status, body = http("GET", "/2018-06-01/runtime/invocation/next", timeout=0.5)
            except OSError:
                status, body = 0, b""
            put("/tmp/next", body if status == 200 else b"")
            os._exit(0)
        return content("/tmp/next").decode()

    function = world.function(attack)
    world.invoke(function, "again")
    # Whoever asked for the next invoke and then ended has lost it: its own affair.
    world.invoke(function, "lost")
    seen = world.ask(function, "tell")["said"]
    return [f"delivered again: {seen}"] if "again" in seen else []


@row("I15", "put words into the platform's mouth by headers of an answer", control=answers_itself)
def i15(world):
    def attack(event, got):
        names = ("X-Amzn-Trace-Id", "X-Amz-Function-Error", "X-Amz-Executed-Version", "X-Amzn-RequestId", "X-Amz-Log-Result", "X-Amz-Client-Context", "X-Evil", "Set-Cookie", "Location", "Connection")
        answer(request, b'"x"', headers=[(name, "forged") for name in names])
        os._exit(0)

    function = world.function(attack)
    head = f"POST /2015-03-31/functions/{function.name}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    answer = world.raw(head)
    return [f"echoed: {line}" for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n") if b"forged" in line]


elsewhere("I06", "streams that lie, break off, never end", "test_streaming.py::test_time_crashes_and_truncation_break_an_answer_off", "test_streaming.py::test_errors_come_at_the_end", "test_streaming.py::test_one_answer_at_a_time", "test_streaming.py::test_200_mb_are_the_most")
elsewhere("I11", "subscribe to telemetry for others, elsewhere, slowly", "crates/worker/src/telemetry/subscription.rs::nothing_but_a_listener_of_the_environment_is_a_destination", "crates/worker/src/telemetry/buffer.rs::what_has_no_room_is_counted_and_told_once")
elsewhere("I11-segments", "send segments of another's trace, broken ones, or without end", "test_segments.py::test_a_forged_one_gets_nowhere", "test_segments.py::test_a_flood_loses_its_own_and_all_of_it_is_counted", "test_segments.py::test_what_is_not_sampled_leads_to_nothing")
