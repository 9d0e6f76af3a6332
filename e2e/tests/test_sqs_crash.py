"""Queues of a server that is killed while they are in use: what was acknowledged is there, in its order, and nothing twice."""

import threading

from botocore.exceptions import ClientError

from support.clock import MANUAL, advance
from support.server import Server
from support.sources import sqs_of
from test_sqs import receive

ROUNDS = 3
GROUPS = 3
# Acknowledged sends of all groups together between two kills.
BETWEEN = 60


class Work:
    """Senders, one of each group, and receivers, until the server is killed."""

    def __init__(self):
        self.changed, self.acknowledged, self.is_killed = threading.Condition(), 0, False
        self.sent = {str(group): [] for group in range(GROUPS)}
        # What each sender had sent and got no answer for.
        self.unsure, self.deleted, self.maybe_deleted, self.wrong = {}, set(), set(), []

    def send(self, sqs, group):
        body = self.unsure.get(group) or f"{group}-{len(self.sent[group])}"
        self.unsure[group] = body
        # What a client does that has got no answer: it sends the same again.
        sqs.send_message(QueueUrl="crash.fifo", MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
        self.sent[group].append(body)
        del self.unsure[group]
        with self.changed:
            self.acknowledged += 1
            self.changed.notify()

    def take(self, sqs):
        for message in receive(sqs, "crash.fifo", MaxNumberOfMessages=2, VisibilityTimeout=30):
            self.maybe_deleted.add(message["Body"])
            sqs.delete_message(QueueUrl="crash.fifo", ReceiptHandle=message["ReceiptHandle"])
            self.deleted.add(message["Body"])

    def until_killed(self, step, *args):
        while True:
            try:
                step(*args)
            except Exception as error:
                with self.changed:
                    if not self.is_killed or isinstance(error, ClientError):
                        self.wrong.append(repr(error))
                        self.changed.notify()
                    return

    def play(self, server):
        self.acknowledged, self.is_killed = 0, False
        steps = [(self.send, sqs_of(server), group) for group in self.sent] + [(self.take, sqs_of(server))] * 2
        threads = [threading.Thread(target=self.until_killed, args=step, daemon=True) for step in steps]
        [thread.start() for thread in threads]
        with self.changed:
            assert self.changed.wait_for(lambda: self.acknowledged >= BETWEEN or self.wrong, 120), "they came to a stand"
            self.is_killed = True
        server.kill()
        [thread.join() for thread in threads]
        assert not self.wrong, self.wrong


def drained(server, sqs):
    """All that is left, in the order in which it comes."""
    left = []
    # Those in flight are invisible until their time is over.
    advance(server, "1m")
    while messages := receive(sqs, "crash.fifo"):
        left += [message["Body"] for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl="crash.fifo", ReceiptHandle=message["ReceiptHandle"])
    return left


def test_a_crash_keeps_what_was_acknowledged_and_its_order():
    server = Server(*MANUAL)
    try:
        server.start()
        sqs_of(server).create_queue(QueueName="crash.fifo", Attributes={"FifoQueue": "true"})
        work = Work()
        for _ in range(ROUNDS):
            work.play(server)
            server.start()
        sqs = sqs_of(server)
        for group in list(work.unsure):
            work.send(sqs, group)
        left = drained(server, sqs)
        assert len(left) == len(set(left)), "nothing comes twice"
        assert not work.deleted & set(left), "what was deleted does not come back"
        for group, sent in work.sent.items():
            of_group = [body for body in left if body.startswith(f"{group}-")]
            assert of_group == [body for body in sent if body in of_group], "it keeps its order"
            assert set(sent) - set(of_group) <= work.maybe_deleted, "what is not there was deleted"
        server.stop()
    finally:
        server.close()
