"""The server is killed at random points under load: `python -m loss.kill --points 1000`, in e2e/.

A run is repeated by its seed (`--seed`): the clients ask for the same things in the same order, and the kills come after
as many of them; what the kernel and the processors make of it is their own.
"""

import argparse
import random
import secrets
import time

from loss import flows, sources
from loss.clients import Deployer, Objects, Sender, Sqs, Temporary
from loss.flows import Fifo, Line, Mover, Topics
from loss.round import Round
from loss.sources import Idle, Streamer, Timed
from loss.verdict import PATIENCE_S, Events, check_messages, prepare
from loss.witness import Witness
from loss.world import World, deploy, queue

# Rounds between two looks at everything, so that what is lost is found near where it was.
BETWEEN_LOOKS = 50
# About what a start takes, and a little.
START_S = 0.4


class Run:
    """Clients over one data folder."""

    patience = PATIENCE_S

    def __init__(self, world, witness, seed):
        self.world, self.witness, self.seed, self.crashes, self.looks = world, witness, seed, 0, 0
        self.chance = random.Random(seed)

    def begin(self):
        self.world.must_start()
        prepare(self.world.wire(), deploy, queue)
        flows.prepare(self.world.wire(), deploy)
        sources.prepare(self.world, self.world.wire(), deploy)
        self.hire()

    def hire(self):
        """New clients: those before them have been looked at."""
        self.looks += 1
        chance = lambda name: random.Random(f"{self.seed}-{self.looks}-{name}")
        make = lambda kind, name, *more: kind(f"{name}{self.looks}", chance(name), *more)
        self.senders = [make(Sender, f"s{n}", self.witness) for n in range(2)]
        self.queuers = [make(Sqs, f"q{n}") for n in range(2)]
        self.others = [make(Deployer, "d"), make(Temporary, "t"), make(Objects, "o")]
        self.line = line = Line()
        self.others += [*(make(Fifo, f"f{n}", line) for n in range(2)), make(Mover, "m", self.witness)]
        self.others += self.hire_more(make)
        self.since = self.crashes

    def hire_more(self, make):
        """Of what is kept in more places than one."""
        return [make(Streamer, "k", self.world, self.witness), make(Timed, "c"), make(Idle, "i"), make(Topics, "p")]

    def clients(self):
        return [*self.senders, *self.queuers, *self.others]

    def round(self, clients=None):
        return Round(self.world, self.witness, clients or self.clients())

    def killed_once(self):
        """A round that ends in a kill, and now and then a start that does."""
        chance = self.chance
        who = chance.choices(["all", "server", "spawner"], [8, 1, 1])[0]
        steps, runs = chance.choice([(chance.randint(1, 150), 10**9), (10**9, chance.randint(1, 60))])
        self.round().until_killed(steps, runs, chance.random() * 0.01, who)
        self.crashes += 1
        if chance.random() < 0.15:
            self.world.launch()
            time.sleep(chance.random() * START_S)
            self.world.kill()
            self.crashes += 1
        self.world.must_start()

    def moved(self):
        """Messages of FIFO queues, mappings, topics and rules."""
        kinds = [kind for client in self.others if isinstance(client, Mover) for kind in client.sent.values()]
        return sum(len(sent) for sent in kinds) + sum(len(sent) for sent in self.line.sent.values())

    def look(self):
        """Everything that was acknowledged since the last look has ended well."""
        events = Events(self.senders, self.witness)
        events.settle(self.world, self.patience)
        again = events.check(self.crashes - self.since)
        wire = self.world.wire()
        sent, deleted = check_messages(wire, self.queuers, "work", "work-letters")
        for client in self.others:
            client.check(wire)
            client.leave(wire)
        print(f"{self.crashes} crashes: {len(events.acknowledged)} events, run {again} times more than without; "
              f"{sent} messages, {deleted} of them deleted; {self.moved()} in groups and moved on; nothing lost", flush=True)
        self.hire()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--points", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--keep", action="store_true", help="the data folder, if it fails")
    arguments = arguments.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"--seed {seed}", flush=True)
    with Witness() as witness:
        world, failed = World(), True
        try:
            run = Run(world, witness, seed)
            run.begin()
            while run.crashes < arguments.points:
                run.killed_once()
                if run.crashes - run.since >= BETWEEN_LOOKS:
                    run.look()
            run.look()
            failed = False
        finally:
            world.close(keep=failed and arguments.keep)


if __name__ == "__main__":
    main()
