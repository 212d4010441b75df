"""A program on a terminal of its own."""

import os
import pty
import select
import subprocess

from .process import patience, wait_until


class Terminal:
    """What it shows, and what is typed."""

    def __init__(self, *words, env=None):
        self.shown = b""
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [str(word) for word in words], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "TERM": "xterm", **(env or {})}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def look(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # it has ended
                break
            if not piece:
                break
            self.shown += piece
        return self.shown.decode(errors="replace")

    def wait(self, text):
        wait_until(lambda: text in self.look(), what=f"{text!r} in {self.shown!r}")

    def end(self):
        code = self.process.wait(patience(10))
        self.look()
        return code
