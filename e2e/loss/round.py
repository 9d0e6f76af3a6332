"""Clients at work until the server is gone, by our hand or by its own."""

import threading
import time

from loss.clients import work

# What a round may take on a busy machine.
ROUND_S = 120
# From the last sign of life of a server that ends by itself to its end.
END_S = 60


class Round:
    def __init__(self, world, witness, clients):
        self.world, self.witness, self.clients = world, witness, clients
        self.changed, self.done, self.begun, self.wrongs = threading.Condition(), 0, False, []

    # What the clients see.

    def has_begun(self):
        return self.begun

    def comes(self):
        """Whether the server is about to end: no answer, and no crash, is a fault."""
        end = time.monotonic() + END_S
        while not self.begun and self.world.process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        return self.begun or self.world.process.poll() is not None

    def wrong(self, text):
        with self.changed:
            self.wrongs.append(text)
            self.changed.notify()

    def progress(self):
        with self.changed:
            self.done += 1
            self.changed.notify()

    # What the driver does.

    def until_killed(self, steps, runs, pause, who):
        """Kills the server after so many steps of the clients, or runs of functions, and a pause."""
        enough = self.witness.count + runs

        def crash():
            with self.changed:
                end = time.monotonic() + ROUND_S
                while self.done < steps and self.witness.count < enough and not self.wrongs and time.monotonic() < end:
                    self.changed.wait(0.01)
            assert time.monotonic() < end, f"the clients came to a stand\n{self.world.log()}"
            time.sleep(pause)
            self.begun = True
            self.world.kill(who)

        self.play(crash)

    def until_ended(self, seconds):
        """Whether the server ended by itself within this time; killed otherwise."""
        reached = []

        def crash():
            end = time.monotonic() + seconds
            while self.world.process.poll() is None and not self.wrongs and time.monotonic() < end:
                time.sleep(0.005)
            reached.append(self.world.process.poll() is not None)
            self.begun = True
            if reached[0]:
                self.world.wait_for_the_end()
            else:
                self.world.kill()

        self.play(crash)
        return reached[0]

    def play(self, crash):
        threads = [threading.Thread(target=work, args=(client, self.world.wire(), self), daemon=True) for client in self.clients]
        for thread in threads:
            thread.start()
        try:
            crash()
        finally:
            self.begun = True
            for thread in threads:
                thread.join()
        assert not self.wrongs, f"{self.wrongs[:3]}\n{self.world.log()}"
