"""Disks of a test's own."""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from support.server import HANGS_S, wait_until


@contextmanager
def small_disk(megabytes):
    """A folder on a disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-disk-"))
    folder.chmod(0o755)
    (top := folder / "top").mkdir()
    try:
        with open(folder / "image", "wb") as image:
            image.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(folder / "image")], check=True)
        subprocess.run(["mount", "-o", "loop", str(folder / "image"), str(top)], check=True)
        try:
            yield top
        finally:
            wait_until(lambda: subprocess.run(["umount", str(top)], capture_output=True).returncode == 0, HANGS_S, "the disk stays in use")
    finally:
        shutil.rmtree(folder)
