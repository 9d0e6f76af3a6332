"""Several clients, random operations, a server that is killed again and again: what it has is what it acknowledged."""

import os
import random
import secrets
import threading
import urllib.request

from botocore.exceptions import ClientError

from conftest import Function, client_of
from support.ledger import QUEUES, Worker, clients_of, read
from support.sources import sqs_of

ROUNDS = 4
CLIENTS = 4
# Acknowledged operations of all clients together between two kills: 1 to this many.
MOST_BETWEEN = 120
ROUND_S = 120
# About what a start takes.
START_S = 0.3


class Round:
    """Clients at work until the server is killed."""

    def __init__(self, workers, limit):
        self.workers, self.left, self.is_killed = workers, limit, False
        self.changed = threading.Condition()
        # What each client had asked for and got no answer to.
        self.unanswered, self.wrong = {}, []

    def play(self, server):
        threads = [threading.Thread(target=self.work, args=(worker, clients_of(server)), daemon=True) for worker in self.workers]
        for thread in threads:
            thread.start()
        with self.changed:
            assert self.changed.wait_for(lambda: self.left <= 0 or self.wrong, ROUND_S), "the clients came to a stand"
            # While the others are in the middle of something.
            self.is_killed = True
        server.kill()
        for thread in threads:
            thread.join()
        assert not self.wrong, self.wrong

    def work(self, worker, clients):
        operation = None
        while True:
            try:
                operation = worker.next()
                answer = operation.call(clients)
                worker.ledger = operation.after(worker.ledger, answer)
            except Exception as error:
                with self.changed:
                    if self.is_killed and not isinstance(error, (ClientError, AssertionError)):
                        self.unanswered[worker.name] = operation
                    else:
                        self.wrong.append(f"{worker.name}: {operation}: {error!r}")
                        self.changed.notify()
                    return
            with self.changed:
                self.left -= 1
                self.changed.notify()


def test_what_was_acknowledged_is_there_after_every_kill(alone):
    seed = int(os.environ.get("HEARTH_SEED") or secrets.randbits(32))
    print(f"HEARTH_SEED={seed}")
    chance = random.Random(seed)
    workers = [Worker(f"c{n}", random.Random(f"{seed}-{n}")) for n in range(CLIENTS)]
    server = alone()
    for name in QUEUES:
        sqs_of(server).create_queue(QueueName=name)
    for _ in range(ROUNDS):
        round_ = Round(workers, chance.randint(1, MOST_BETWEEN))
        round_.play(server)
        if chance.random() < 0.5:
            server.start_and_kill(chance.random() * START_S)
        server.start()
        found = read(clients_of(server))
        for worker in workers:
            settle(worker, round_.unanswered.get(worker.name), found, seed)
        known = {key for worker in workers for key in worker.ledger}
        assert set(found) <= known, f"HEARTH_SEED={seed}: nobody made {set(found) - known}"
    packages_are_whole(client_of(server), found)
    server.stop()


def settle(worker, unanswered, found, seed):
    """What is found is what was acknowledged, with the whole of the unanswered operation or nothing of it."""
    own = {key: value for key, value in found.items() if key[1].startswith(f"{worker.name}-")}
    ledgers = [worker.ledger, *([unanswered.after(worker.ledger, None)] if unanswered else [])]
    for ledger in reversed(ledgers):
        expected = {key: value for key, value in ledger.items() if not key[0].startswith("_")}
        if expected == own:
            # With what only the answer would have told.
            worker.ledger = {**ledger, **own}
            return
    expected = {key: value for key, value in worker.ledger.items() if not key[0].startswith("_")}
    differences = {key: (expected.get(key), own.get(key)) for key in expected.keys() | own.keys() if expected.get(key) != own.get(key)}
    raise AssertionError(f"HEARTH_SEED={seed}: {worker.name}, unanswered: {unanswered}; acknowledged and found: {differences}")


def packages_are_whole(client, found):
    """The code is as it came, and runs."""
    functions = {value[0]: key[1] for key, value in found.items() if key[0] == "function"}
    for name in functions.values():
        whole = client.get_function(FunctionName=name)
        with urllib.request.urlopen(whole["Code"]["Location"]) as answer:
            assert len(answer.read()) == whole["Configuration"]["CodeSize"]
        client.delete_function_concurrency(FunctionName=name)
        assert Function(client, name).call() in range(4)
