"""What the chaos test pushes: jobs of many kinds, their definitions, and how each may end."""

import collections
import json
import random

MINUTE = "60s"  # for calls that must not fail because the machine is busy

# kind → its share, how it may end beside being cancelled, and the calls it takes when
# nobody dies (None: that depends on others)
Kind = collections.namedtuple("Kind", "share ends calls")
KINDS = {
    "plain": Kind(45, {"done"}, 1),
    "flaky": Kind(14, {"done", "http_status"}, 3),  # failed: where the budget was spent
    "patient": Kind(4, {"done", "http_status"}, 2),  # its retries are parked
    "broken": Kind(5, {"http_status"}, 2),
    "cut": Kind(3, {"bad_response", "connect"}, 2),
    "hang": Kind(1, {"timeout", "connect"}, 2),
    "fan": Kind(10, {"done"}, 2),
    "anyof": Kind(3, {"done"}, None),
    "shared": Kind(6, {"done"}, None),
    "unique": Kind(4, {"done", "cancelled"}, 1),
    "later": Kind(3, {"done"}, 1),
    "mute": Kind(1, {"http_status"}, 1),  # no channel: it must be in the dead set
    "wrong": Kind(1, {"invalid_params"}, 0),  # likewise
}
BURIED = {"mute", "wrong"}
CHANNEL_OF_MANY = 25  # every so many jobs, one shares a channel


def define(service):
    n = {"n": {"type": "string", "required": True}}

    def one(name, query, **more):
        more.setdefault("timeout", {"connect": MINUTE, "per_try": MINUTE, "total": MINUTE})
        service.define(name, f"/{name}/${{n}}?{query}", n, **more)

    def retry(attempts, base="50ms"):
        return {"max_attempts": attempts, "on": ["connect", "timeout", "reset", "5xx"],
                "backoff": {"base": base, "max": "4s"},
                "budget": {"percent": 100, "per_second": 1000}}  # fmt: skip

    one("plain", "delay=0.05-1.5&size=200", progress=["started"])
    one("flaky", "delay=0.05-0.3&status=500,503,200", retry=retry(3), progress=["retrying"])
    one("patient", "delay=0.05&status=503,200", retry=retry(2, "4s"))
    one("broken", "delay=0.1&status=500", retry=retry(2))
    one("cut", "close=body", retry=retry(2))
    one("hang", "hang=1", retry=retry(2),
        timeout={"connect": "400ms", "per_try": "400ms", "total": MINUTE})  # fmt: skip
    one("shared", "delay=0.3", cache={"ttl": "1s", "coalesce": True})
    one("unique", "delay=0.2-1", concurrency={"limit": 200, "scope": "global"})
    one("later", "delay=0.05", concurrency=20)
    one("mute", "status=404")
    one("wrong", "")
    for name, legs, need in (
        ("fan", {"a": "delay=0.1-0.5", "b": "delay=0.1-1"}, "all"),
        ("anyof", {"a": "delay=0.1-0.5", "b": "hang=1"}, "any"),
    ):
        calls = {
            leg: {"request": {"url": f"{service.url}/{name}/${{n}}/{leg}?{query}"}}
            for leg, query in legs.items()
        }
        service.write(name, json.dumps({
            "service": name, "params": n, "calls": calls, "need": need, "progress": ["partial"],
            "timeout": {"connect": MINUTE, "per_try": MINUTE, "total": MINUTE}}))  # fmt: skip


class Load:
    """jobs: id → (kind, channel or None); the same for the same seed."""

    def __init__(self, count, seed):
        dice = random.Random(f"load {seed}")
        kinds = list(KINDS)
        shares = [KINDS[kind].share for kind in kinds]
        self._dice = dice
        self.jobs = {}
        self.pushed_at = {}
        for n, kind in enumerate(dice.choices(kinds, shares, k=count)):
            channel = f"chaos:{n}"
            if dice.randrange(CHANNEL_OF_MANY) == 0:
                channel = f"many:{dice.randrange(1 + count // 500)}"
            self.jobs[f"j{n}"] = (kind, None if kind == "mute" else channel)

    def message(self, id, now_ms):
        """The job as a producer pushes it."""
        kind, channel = self.jobs[id]
        n = id[1:]
        self.pushed_at[id] = now_ms / 1000
        job = {"service": kind, "id": id, "params": {"n": n}, "at": now_ms}
        if channel:
            job["channel"] = channel
        if kind == "shared":
            job["params"] = {"n": str(int(n) // 200)}
        elif kind == "unique":
            job["unique"] = f"key:{int(n) // 100}"
        elif kind == "later":
            job["run_at"] = now_ms + self._dice.randrange(500, 5000)
        elif kind == "wrong":
            job["params"] = {"n": int(n)}
        return json.dumps(job)

    def repeated_calls(self, keys):
        """How many calls were made that would not have been had nobody died: from the
        calls a service counted for each Idempotency-Key."""
        calls = collections.Counter()
        for key, count in keys.items():
            calls[key.partition("-")[0]] += count
        return sum(
            max(0, count - KINDS[self.jobs[id][0]].calls)
            for id, count in calls.items()
            if KINDS[self.jobs[id][0]].calls is not None
        )
