"""A job's life on the terminal, put together from what the parts log as it happens."""

import shlex
import sys
import time
from datetime import datetime

FORGET_AFTER = 600  # seconds without news of a job


def logfmt(line):
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return dict(word.split("=", 1) for word in words if "=" in word)


class Life:
    """heard() takes each log line; those that are news of a job become a line here:

    14:03:07.412  page:Xb3-_k2f9aQ1:NOVA    done       +2,345 ms  status=200
    """

    # event in a log → (the word here, the colour)
    NEWS = {
        "app.enqueued": ("enqueued", 36),
        "job.claimed": ("claimed", 34),
        "job.calling": ("calling", 33),
        "job.done": ("done", 32),
        "job.failed": ("failed", 31),
        "app.shown": ("shown", 35),
    }

    def __init__(self, quiet=False):
        self.quiet = quiet
        self.colour = sys.stdout.isatty()
        self.born = {}

    def heard(self, fields):
        if self.quiet or fields.get("event") not in self.NEWS or "job" not in fields:
            return
        word, colour = self.NEWS[fields["event"]]
        job, now = fields["job"], time.monotonic()
        for old in [j for j, born in self.born.items() if now - born > FORGET_AFTER]:
            del self.born[old]
        age = (now - self.born.setdefault(job, now)) * 1000
        rest = " ".join(f"{k}={fields[k]}" for k in ("status", "code") if fields.get(k, "0") != "0")
        word = f"\033[{colour}m{word:9}\033[0m" if self.colour else f"{word:9}"
        at = datetime.now().strftime("%H:%M:%S.%f")[:-3]
        print(f"  {at}  {fields.get('channel', job)[-28:]:28}  {word}  {age:>+8,.0f} ms  {rest}", flush=True)
