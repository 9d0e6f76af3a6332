"""Clients: each does random things by a seed of its own, and keeps a ledger of what was asked for and acknowledged."""

import base64
import json
import time

from loss.wire import NoAnswer, Wrong
from loss.world import BUCKET, PYTHON, ROLE, drain, package, queue_url, until_active


class Client:
    """`step` does one thing; what it raises NoAnswer from may have been done or not."""

    def __init__(self, name, chance):
        self.name, self.chance, self.serial = name, chance, 0

    def fresh(self):
        self.serial += 1
        return f"{self.name}-{self.serial}"

    def check(self, wire):
        """Fails unless what was acknowledged is there, or has come to its end."""

    def leave(self, wire):
        """Removes what it made."""


class Sender(Client):
    """Sends events."""

    KINDS = ("well", "bad", "moody", "slow", "chain", "narrow", "object")

    def __init__(self, name, chance, witness):
        super().__init__(name, chance)
        # {request id: (kind, n)}
        self.acknowledged, self.witness, self.settled = {}, witness, 0

    def step(self, wire):
        # The function, too, gets its turn: what waits is bounded.
        ids = list(self.acknowledged)
        while self.settled < len(ids) and self.witness.has("ran", ids[self.settled]):
            self.settled += 1
        kind, n = self.chance.choice(self.KINDS), self.fresh()
        if len(ids) - self.settled > 40:
            wire.invoke_if_there_is_room("well", {"n": n})
        else:
            request_id = wire.event(kind, {"n": n})
            if request_id in self.acknowledged:
                raise Wrong(f"{request_id} was given twice")
            self.acknowledged[request_id] = (kind, n)


class Sqs(Client):
    """Sends, receives and deletes messages of a queue that moves what was received too often."""

    def __init__(self, name, chance, queue="work"):
        super().__init__(name, chance)
        self.url = queue_url(queue)
        # What it knows of each body: sent, deleting, deleted; and of what others sent: only the last two.
        self.sent, self.deleting, self.deleted = set(), set(), set()
        self.held = []

    def step(self, wire):
        what = self.chance.random()
        if what < 0.4 or not (self.held or what < 0.6):
            self.send(wire)
        elif what < 0.6:
            self.receive(wire)
        else:
            self.delete(wire)

    def send(self, wire):
        bodies = [self.fresh() for _ in range(self.chance.randint(1, 4))]
        # Of one group, of another, or of none.
        group = self.chance.choice(({"MessageGroupId": "a"}, {"MessageGroupId": "b"}, {}))
        entries = [{"Id": str(at), "MessageBody": body + "." * self.chance.choice((0, 10, 3000)), **group} for at, body in enumerate(bodies)]
        answer = wire.sqs("SendMessageBatch", QueueUrl=self.url, Entries=entries)
        if len(answer.get("Successful", ())) != len(bodies):
            raise Wrong(f"{answer}")
        self.sent.update(bodies)

    def receive(self, wire):
        wait, until = self.chance.choice((0, 1, 30)), time.monotonic() + 25
        answer = wire.sqs("ReceiveMessage", QueueUrl=self.url, MaxNumberOfMessages=5, VisibilityTimeout=wait)
        for message in answer.get("Messages", ()):
            body = text_of(message)
            if body in self.deleted:
                raise Wrong(f"{body} is back after it was deleted")
            if wait == 30:
                self.held.append((body, message["ReceiptHandle"], until))

    def delete(self, wire):
        body, handle, until = self.held.pop(self.chance.randrange(len(self.held)))
        self.deleting.add(body)
        wire.sqs("DeleteMessage", QueueUrl=self.url, ReceiptHandle=handle)
        # With a handle whose time is over nothing is deleted: the message is somebody else's by then.
        if time.monotonic() < until:
            self.deleted.add(body)


class Deployer(Client):
    """Makes functions, each with a package that is new, and deletes some. Half of the packages are small, as the metadata's
    file holds them, and half are not."""

    MOST = 6
    # Random, so that it stays as long when it is packed.
    LARGE = 20_000

    def __init__(self, name, chance):
        super().__init__(name, chance)
        # {name: n}; those whose answer never came are in `open`.
        self.there, self.open, self.serial_of = {}, set(), {}

    def step(self, wire):
        if len(self.there) >= self.MOST:
            name = self.chance.choice(sorted(self.there))
            n = self.there.pop(name)
            self.open.add(name)
            wire.well("DELETE", f"/2015-03-31/functions/{name}")
            self.open.discard(name)
            self.serial_of.pop(name, n)
            return
        n = self.fresh()
        more = self.chance.choice((0, self.LARGE))
        source = f"\nn = {n!r}\ndef handler(event, context): return n\n# {self.chance.randbytes(more).hex()}\n"
        code = base64.b64encode(package(source)).decode()
        self.open.add(n)
        self.serial_of[n] = n
        wire.well("POST", "/2015-03-31/functions", json.dumps({
            "FunctionName": n, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": code}, "MemorySize": 512, "Timeout": 60,
        }))
        self.open.discard(n)
        self.there[n] = n

    def check(self, wire):
        """What was acknowledged is there and runs; what was not is there as a whole or not at all."""
        for name in sorted({*self.there, *self.open}):
            status, _, _ = wire.ask("GET", f"/2015-03-31/functions/{name}/configuration")
            if status == 404 and name in self.open:
                self.open.discard(name)
                continue
            if status != 200:
                raise Wrong(f"the function {name} is lost: {status}")
            until_active(wire, name)
            if (answer := wire.invoke(name, {})) != name.encode() and answer != name and answer != f'"{name}"'.encode():
                raise Wrong(f"{name} is another: {answer!r}")
            self.open.discard(name)
            self.there[name] = name

    def leave(self, wire):
        for name in sorted(self.there):
            wire.well("DELETE", f"/2015-03-31/functions/{name}")


class Temporary(Client):
    """Makes queues, fills them, and empties or deletes them."""

    def __init__(self, name, chance):
        super().__init__(name, chance)
        # {name: the bodies that must be there}; None where it may be there or not.
        self.queues = {}

    def step(self, wire):
        name = self.fresh()
        self.queues[name] = None
        wire.sqs("CreateQueue", QueueName=name)
        bodies = [self.fresh() for _ in range(5)]
        wire.sqs("SendMessageBatch", QueueUrl=queue_url(name), Entries=[{"Id": body, "MessageBody": body} for body in bodies])
        end = self.chance.choice(("stay", "delete", "purge", "purge and stay"))
        if end == "stay":
            self.queues[name] = set(bodies)
        elif end == "delete":
            wire.sqs("DeleteQueue", QueueUrl=queue_url(name))
            del self.queues[name]
        else:
            wire.sqs("PurgeQueue", QueueUrl=queue_url(name))
            body = self.fresh()
            wire.sqs("SendMessage", QueueUrl=queue_url(name), MessageBody=body)
            self.queues[name] = {body}

    def check(self, wire):
        """What was acknowledged is there; what was deleted or emptied did not come back."""
        there = {url.rsplit("/", 1)[1] for url in self.urls(wire)}
        if lost := {name for name, bodies in self.queues.items() if bodies is not None} - there:
            raise Wrong(f"queues are lost: {lost}")
        if back := there - self.queues.keys():
            raise Wrong(f"queues are back: {back}")
        for name in sorted(there):
            found = sorted(text_of(message) for message in drain(wire, name))
            if self.queues[name] is not None and found != sorted(self.queues[name]):
                raise Wrong(f"{name} has {found}, not {self.queues[name]}")

    def leave(self, wire):
        for url in self.urls(wire):
            wire.sqs("DeleteQueue", QueueUrl=url)

    def urls(self, wire):
        """Of all its queues: a long run makes more than one page of them."""
        urls, token = [], {}
        while token is not None:
            page = wire.sqs("ListQueues", QueueNamePrefix=f"{self.name}-", MaxResults=1000, **token)
            urls += page.get("QueueUrls", [])
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
        return urls


class Objects(Client):
    """Puts objects, and deletes some."""

    MOST = 20

    def __init__(self, name, chance):
        super().__init__(name, chance)
        # {key: its bytes, or None where it may be there or not}
        self.objects = {}

    def step(self, wire):
        there = sorted(key for key, body in self.objects.items() if body is not None)
        if len(there) >= self.MOST:
            key = self.chance.choice(there)
            self.objects[key] = None
            wire.s3("DELETE", f"/{BUCKET}/{key}")
            del self.objects[key]
            return
        key = self.fresh()
        body = key.encode() * self.chance.choice((1, 2000))
        self.objects[key] = None
        wire.s3("PUT", f"/{BUCKET}/{key}", body)
        self.objects[key] = body

    def check(self, wire):
        for key, body in self.objects.items():
            found = wire.s3("GET", f"/{BUCKET}/{key}")
            if found != body and body is not None:
                raise Wrong(f"the object {key} is lost: {found and found[:100]}")

    def leave(self, wire):
        for key in sorted(self.objects):
            wire.s3("DELETE", f"/{BUCKET}/{key}")


def text_of(message):
    return message["Body"].rstrip(".")


def work(client, wire, crash):
    """Until the server is gone."""
    while not crash.has_begun():
        try:
            client.step(wire)
        except Exception as error:
            # Between the end of its parts and its own the server may say that it cannot.
            dying = isinstance(error, NoAnswer) or getattr(error, "status", 0) >= 500
            if not (dying and crash.comes()):
                crash.wrong(f"{client.name}: {error!r}")
            return
        crash.progress()
