"""A terminal for a program that looks whether it has one."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    """Runs a command on a terminal of this size; `text` is all that it has written so far."""

    def __init__(self, *command, rows=24, columns=100):
        self.own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
        os.close(theirs)
        os.set_blocking(self.own, False)
        self.text = ""

    def read(self):
        try:
            while part := os.read(self.own, 65536):
                self.text += part.decode(errors="replace")
        except (BlockingIOError, OSError):
            pass
        return self.text

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition(self.read()):
            assert time.monotonic() < end and self.process.poll() is None, repr(self.text[-2000:])
            time.sleep(0.02)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self.read()
        os.close(self.own)
        return status
