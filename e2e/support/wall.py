"""Servers for which tests say what time it is: libfaketime stands between a server and the machine's wall clock.

What is moved is CLOCK_REALTIME alone, and of the server's own process alone: its spawner and what that starts have another
environment. No clock runs faster, and timeouts count as ever.
"""

import datetime
from pathlib import Path

from support.clock import now_ms
from support.server import HANGS_S, Server, wait_until

SHARED = Path("/dev/shm")
# A server tells whole milliseconds.
ROUNDED = datetime.timedelta(milliseconds=1)


def utc(text):
    """2026-03-29T00:59:57, of UTC."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


def machine_now():
    return datetime.datetime.now(datetime.timezone.utc)


class SetServer(Server):
    """Begins at that time, which goes on as usual until it is set again: as on a machine whose clock somebody sets."""

    def __init__(self, time, *args):
        super().__init__(*args)
        # The server reads it again and again, when it is an ordinary user already that sees its data folder alone.
        self.folder.chmod(0o711)
        self.data.mkdir()
        self.file = self.data / "wall-clock"
        variables = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_CACHE_DURATION": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            "NO_FAKE_STAT": 1,
        }
        self.before = ["env", *(f"{name}={value}" for name, value in variables.items())]
        self.write(time)

    def start(self):
        super().start()
        self.until_heard()
        return self

    def now(self):
        return datetime.datetime.fromtimestamp(now_ms(self) / 1000, datetime.timezone.utc)

    def set(self, time):
        """Returns when the server has it."""
        self.write(time)
        self.until_heard()

    def write(self, time):
        """Whole, since the server may read at any moment."""
        self.away = time - machine_now()
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.away.total_seconds():+.6f}")
        new.replace(self.file)

    def until_heard(self):
        wait_until(self.has_heard, HANGS_S, lambda: f"the server has {self.now()}, and not {machine_now() + self.away}")

    def has_heard(self):
        before, now, after = machine_now(), self.now(), machine_now()
        return before + self.away - ROUNDED <= now <= after + self.away

    def close(self):
        super().close()
        # The library would remove what it shares with processes to come, but does not see it any more by then.
        for name in ("faketime_shm_", "sem.faketime_sem_"):
            (SHARED / f"{name}{self.pid}").unlink(missing_ok=True)


def library():
    found = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    assert found, "libfaketime is missing: install the package faketime"
    return found[0]
