"""Who looks on while the chaos test does its work."""

import collections
import json
import threading
import time

import redis as redis_py


class Recovery:
    """How long a dead or frozen worker's jobs took to be in other hands, and to end."""

    def __init__(self, what, at, worker_id, jobs):
        self.what, self.at, self.worker_id, self.jobs = what, at, worker_id, jobs
        self.count = len(jobs)
        self.taken_s = self.ended_s = None
        self.disturbed = False  # by Redis being away, or nobody being there to take them

    def __str__(self):
        if not self.count:
            return f"{self.what}: it had no job in hand"
        told = [f"{name} after {s:.2f} s" if s is not None else f"not yet {name}"
                for name, s in (("taken over", self.taken_s), ("all ended", self.ended_s))]  # fmt: skip
        more = "; disturbed" if self.disturbed else ""
        return f"{self.what}, {self.count} jobs in hand: {', '.join(told)}{more}"


class Observer(threading.Thread):
    """Looks on, with connections of its own: at held jobs of the dead, and at what a
    browser would hear."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.redis = redis
        self.client = redis_py.Redis(unix_socket_path=str(redis.socket), decode_responses=True)
        self.heard = collections.Counter()  # job → terminal events heard live
        self.last_end = 0.0
        self.recoveries, self.redis_recoveries = [], []
        self.done = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def start(self):
        super().start()
        self._listener.start()

    def stop(self):
        self.done.set()
        self.join()
        self._listener.join()

    def run(self):
        while not self.done.wait(0.02):
            try:
                self.look()
            except redis_py.exceptions.RedisError:
                for recovery in self.recoveries:  # Redis is away
                    recovery.disturbed |= recovery.taken_s is None

    def look(self):
        for r in list(self.recoveries):
            if r.taken_s is None and not self.client.exists(f"ringback:held:{r.worker_id}"):
                r.taken_s = time.monotonic() - r.at
            if r.jobs:
                pipe = self.client.pipeline(transaction=False)
                for channel, id in r.jobs:
                    pipe.hexists(f"ringback:ch:{{{channel}}}:meta", f"t:{id}")
                r.jobs = [job for job, ended in zip(r.jobs, pipe.execute()) if not ended]
                if not r.jobs:
                    r.ended_s = time.monotonic() - r.at

    def _listen(self):
        while not self.done.is_set():
            try:
                with self.client.pubsub(ignore_subscribe_messages=True) as hearing:
                    hearing.psubscribe("ringback:ch:*")
                    while not self.done.is_set():
                        message = hearing.get_message(timeout=0.2)
                        if message:
                            self._hear(json.loads(message["data"].split(" ", 2)[2]))
            except redis_py.exceptions.RedisError:
                self.done.wait(0.005)

    def _hear(self, event):
        if event["event"] in ("done", "failed"):
            self.heard[event["job"]] += 1
            self.last_end = time.monotonic()
            for recovery in self.redis_recoveries:
                if recovery[1] is None:
                    recovery[1] = self.last_end - recovery[0]
