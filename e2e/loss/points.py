"""The server ends at each named point, between two writes or between a write and its answer: `python -m loss.points`, in
e2e/, with a build that can (`cargo xtask loss points`)."""

import argparse
import random
import secrets

from loss.kill import Run
from loss.witness import Witness
from loss.world import World

# Every point of the crate `crash`, and which clients lead to it.
POINTS = {
    "queue-written": ("s", "q"),
    "queue-committed": ("s", "q"),
    "queue-purging": ("t",),
    "metadata-written": ("d", "t"),
    "metadata-committed": ("d", "t"),
    "blob-written": ("d",),
    "blob-named": ("d",),
    "package-kept": ("d",),
    "function-gone": ("d",),
    "event-kept": ("s",),
    "event-ran": ("s",),
    "event-ended": ("s",),
    "parcel-delivered": ("s",),
    "queue-gone": ("t",),
    "object-written": ("o",),
    "topic-gone": ("p",),
    "schedule-fired": ("c",),
    # Not those who make schedules: they would have made all that they may before a minute is over.
    "rule-fired": ("i",),
    "batch-taken": ("m",),
    "records-ran": ("k",),
    "records-given-up": ("k",),
}
# The end comes at one of the first times; of what comes seldom, at one of so many.
TIMES = 6
SELDOM = {"rule-fired": 1, "records-given-up": 2}
# Until it is reached, with a debug build on a busy machine. The rule has its turn once a minute.
REACHED_S = 180


class Points(Run):
    def end_at(self, point):
        """A round that ends at the point."""
        self.world.kill()
        time = self.chance.randint(1, SELDOM.get(point, TIMES))
        # The start may come to it already.
        if self.world.start(HEARTH_CRASH_AT=f"{point}:{time}"):
            round_ = self.round([client for client in self.clients() if client.name[0] in POINTS[point]])
            assert round_.until_ended(REACHED_S), f"{point} was not reached {time} times"
        assert f"the end, at {point}" in self.world.log(200), self.world.log()
        # The kill before it, and the end.
        self.crashes += 2
        self.world.must_start()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--times", type=int, default=10, help="how often each")
    arguments.add_argument("--only", help="a point's name")
    arguments.add_argument("--seed", type=int, default=None)
    arguments = arguments.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"--seed {seed}", flush=True)
    points = [arguments.only] if arguments.only else list(POINTS)
    order = random.Random(seed)
    with Witness() as witness:
        world = World()
        try:
            run = Points(world, witness, seed)
            run.begin()
            for _ in range(arguments.times):
                order.shuffle(points)
                for point in points:
                    run.end_at(point)
                run.look()
        finally:
            world.close()
    print(f"ended at {len(points)} points, {arguments.times} times each")


if __name__ == "__main__":
    main()
