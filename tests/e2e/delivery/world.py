"""Redis, notifiers, a worker, those who publish, and all the trouble they meet."""

import collections
import json
import os
import random
import signal
import subprocess
import threading

import redis as redis_py
from peers.clients import post
from peers.daemons import Notifier, Worker, program
from peers.process import ROOT, patience, wait_until
from peers.redis_proxy import RedisProxy
from peers.redis_server import RedisServer
from peers.sentinels import Sentinels
from peers.service import Service

MAX_EVENTS, TTL_MS = 100, 600_000
SCRIPT = (ROOT / "jobs/scripts/publish.lua").read_text()
WHOLE = ["--auto-aof-rewrite-percentage", "0"]  # the append-only file is the witness


class Channel:
    """A name, and what the direct publisher lets it keep."""

    def __init__(self, number):
        self.name = f"c{number}"
        self.max_events = (MAX_EVENTS, 10, MAX_EVENTS, 1000)[number % 4]
        self.ttl_ms = 1500 if number % 5 == 4 else TTL_MS


class World:
    """start() brings it up; trouble() and publish() are threads' bodies until `over`."""

    def __init__(self, processes, seed, sentinel, channels=8):
        self.processes, self.seed, self.sentinel = processes, seed, sentinel
        self.channels = [Channel(number) for number in range(channels)]
        self.over, self.lock = threading.Event(), threading.Lock()
        self.acknowledged, self.refused = [], 0
        self.troubles, self.published = collections.Counter(), collections.Counter()
        self.number, self.threads, self.failures = 0, [], []

    # ------------------------------------------------------------------ coming up
    def start(self):
        if self.sentinel:
            self.sentinels = Sentinels(self.processes, aof=True, args=WHOLE)
            self.server, last = self.sentinels.master, self.sentinels.replica
            near = far = self.sentinels.settings()
        else:
            self.server = last = RedisServer(self.processes, aof=True, args=WHOLE)
            self.proxy = RedisProxy(self.server)
            near, far = {"url": self.server.url}, {"url": self.proxy.url}
        self.aof = last.folder  # it has all in the end
        self.service = Service(self.processes)
        self.service.define("tell", "/", ["n"], progress=["started"])
        self.notifiers = [Notifier(self.processes, self._config(near), name="near"),
                          Notifier(self.processes, self._config(far), name="far")]  # fmt: skip
        self.worker = Worker(self.processes, self._config(near))

    def _config(self, redis):
        return {
            "redis": {"command_timeout": "1s", "connect_timeout": "500ms", **redis},
            "channels": {"max_events": MAX_EVENTS, "ttl": "10m"},
            "worker": {"services": str(self.service.folder), "metrics": "", "drain_timeout": "1s"},
            "notifier": {"processes": 2, "poll_timeout": "2s", "ping_interval": "1s",
                         "max_queue": "64KiB", "drain_timeout": "1s"},
            "log": {"level": "info"},
        }  # fmt: skip

    def some_port(self, dice):
        return dice.choice(self.notifiers).port

    def spawn(self, body, *args):
        def run():
            try:
                body(*args)
            except Exception as error:  # told at the end; the run has failed
                self.failures.append(f"{body.__name__}: {error!r}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self):
        for thread in self.threads:
            thread.join(patience(60))

    def wait(self, seconds):
        return self.over.wait(seconds)

    # ------------------------------------------------------------------ publishing
    def publishers(self):
        for body in (self._direct, self._over_http, self._by_command, self._by_jobs, self._raw):
            self.spawn(body, random.Random(f"{self.seed}/{body.__name__}"))

    def _next(self, dice):
        with self.lock:
            self.number += 1
            n = self.number
        large = dice.choices([0, 3_000, 70_000], [200, 20, 1])[0]
        return {"n": n, "pad": "ü\r\n" * (large // 4)} if large else {"n": n}

    def _acked(self, how, channel, ids):
        with self.lock:
            self.published[how] += len(ids)
            self.acknowledged += [(channel, id) for id in ids]

    def _failed(self):
        with self.lock:
            self.refused += 1

    def client(self):
        """A connection to the Redis of the moment, for a publisher."""
        how = {"decode_responses": True, "socket_timeout": 2, "socket_connect_timeout": 2}
        if self.sentinel:
            return redis_py.Redis(port=self.server.port, **how)
        return redis_py.Redis(unix_socket_path=str(self.server.socket), **how)

    def _direct(self, dice):
        """With the product's own script, in bursts, and with each channel's own limits."""
        while not self.wait(dice.expovariate(12)):
            channel = dice.choice(self.channels)
            burst = dice.choices([1, 12, 2 * channel.max_events + 5], [60, 8, 1])[0]
            self.put(channel, [self._next(dice) for _ in range(min(burst, 300))])

    def put(self, channel, values, ttl_ms=None):
        """Returns the ids, None when it is not known what came of it."""
        stream = f"ringback:ch:{{{channel.name}}}"
        try:
            with self.client() as client, client.pipeline(transaction=False) as pipe:
                for value in values:
                    event = {"channel": channel.name, "event": "tick", "data": value}
                    pipe.eval(SCRIPT, 2, stream, stream + ":meta", json.dumps(event), "", "0",
                              channel.max_events, ttl_ms or channel.ttl_ms, TTL_MS * 2)  # fmt: skip
                ids = [answer.split()[0] for answer in pipe.execute()]
        except redis_py.RedisError:
            self._failed()
            return None
        self._acked("direct", channel.name, ids)
        return ids

    def _over_http(self, dice):
        while not self.wait(dice.expovariate(8)):
            channel, notifier = dice.choice(self.channels).name, dice.choice(self.notifiers)
            try:
                url = f"{notifier.admin}/publish/{channel}?event=news"
                answer = post(url, self._next(dice), timeout=3)
                if answer.status == 200:
                    self._acked("http", channel, [answer.json()["id"]])
                    continue
            except Exception:  # refused, reset, cut, late
                pass
            self._failed()

    def _by_command(self, dice):
        while not self.wait(dice.expovariate(0.7)):
            channel = dice.choice(self.channels).name
            try:
                done = subprocess.run(
                    [program("ringback"), "-c", self.notifiers[0].file, "publish", channel, "-"],
                    input=json.dumps(self._next(dice)), capture_output=True, text=True, timeout=patience(10))  # fmt: skip
                if done.returncode == 0:
                    self._acked("command", channel, [json.loads(done.stdout)["id"]])
                    continue
            except subprocess.TimeoutExpired:
                pass
            self._failed()

    def _by_jobs(self, dice):
        """started and done, from the worker."""
        while not self.wait(dice.expovariate(4)):
            job = {"service": "tell", "channel": dice.choice(self.channels).name,
                   "params": {"n": str(dice.randrange(1000))}}  # fmt: skip
            try:
                with self.client() as client:
                    client.rpush("ringback:queue:default", json.dumps(job))
                self.published["jobs"] += 1
            except redis_py.RedisError:
                self._failed()

    def _raw(self, dice):
        """The app's own live messages, which have no id and are not kept."""
        while not self.wait(dice.expovariate(5)):
            try:
                with self.client() as client:
                    client.publish(f"ringback:ch:{{{dice.choice(self.channels).name}}}", '{"raw": 1}')
                self.published["raw"] += 1
            except redis_py.RedisError:
                pass

    # ------------------------------------------------------------------ trouble
    def trouble(self):
        dice = random.Random(f"{self.seed}/trouble")
        kinds = [self.kill_pubsub, self.kill_normal, self.kill_child, self.kill_notifier,
                 self.replace_notifier, self.reload, self.stall_notifier, self.forget_scripts]  # fmt: skip
        if not self.sentinel:
            kinds += [self.stall_redis, self.kill_redis, self.restart_redis, self.cut_link,
                      self.swallow_link, self.kill_pubsub]  # fmt: skip
        while not self.wait(dice.uniform(0.1, 1.5)):
            kind = dice.choice(kinds)
            self.troubles[kind.__name__] += 1
            kind(dice)

    def _ask(self, *words):
        try:
            with self.client() as client:
                client.execute_command(*words)
        except redis_py.RedisError:
            pass

    def kill_pubsub(self, dice):
        self._ask("CLIENT", "KILL", "TYPE", "pubsub")

    def kill_normal(self, dice):
        self._ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def forget_scripts(self, dice):
        self._ask("SCRIPT", "FLUSH")

    def stall_redis(self, dice):
        self.server.pause()
        self.wait(dice.choice([0.1, 0.5, 2.5]))
        self.server.resume()

    def kill_redis(self, dice):
        self.server.kill()
        self.wait(dice.uniform(0, 0.7))
        self.server.start()

    def restart_redis(self, dice):
        self.server.stop()
        self.wait(dice.uniform(0, 0.7))
        self.server.start()

    def cut_link(self, dice):
        self.proxy.cut()

    def swallow_link(self, dice):
        """Half dead: what is sent is taken, nothing comes back."""
        self.proxy.mode = "silent"
        self.wait(dice.choice([0.3, 3.0]))
        self.proxy.cut()
        self.proxy.mode = "forward"

    def kill_child(self, dice):
        children = dice.choice(self.notifiers).children()
        if children:
            try:
                os.kill(dice.choice(children), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stall_notifier(self, dice):
        daemon = dice.choice(self.notifiers)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in daemon.session():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            if number == signal.SIGSTOP:
                self.wait(dice.choice([0.2, 1.5]))

    def kill_notifier(self, dice):
        daemon = dice.choice(self.notifiers)
        daemon.kill()
        self._again(daemon, dice)

    def replace_notifier(self, dice):
        daemon = dice.choice(self.notifiers)
        if daemon.stop() != 0:
            self.failures.append(f"{daemon.name} ended with {daemon.popen.returncode}")
        self._again(daemon, dice)

    def _again(self, daemon, dice):
        """On the addresses that it had."""
        wait_until(lambda: not daemon.session(), 10, "its processes to be gone")
        self.wait(dice.uniform(0, 0.5))
        daemon.process = self.processes.start(daemon.argv, daemon.name.split("#")[0])
        daemon.wait_ready()

    def reload(self, dice):
        daemon = dice.choice(self.notifiers)
        daemon.configure({"notifier": {"max_queue": dice.choice(["32KiB", "64KiB", "1MiB"])}})
        daemon.signal(signal.SIGHUP)

    # ------------------------------------------------------------------ failover
    def fail_over(self):
        """What was published before is at the replica: what it lost otherwise would be
        Redis's own loss, and no matter of ours."""
        self.troubles["fail_over"] += 1
        with self.sentinels.master.client as client:
            client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
            wait_until(self._in_step, 20, "the replica to be in step")
        self.sentinels.master.kill()
        self.sentinels.wait_promoted()
        self.server = self.sentinels.replica

    def _in_step(self):
        try:
            told = self.sentinels.master.client.info("replication")
        except redis_py.ConnectionError:  # trouble had just cut it
            return False
        return told.get("slave0", {}).get("offset") == told["master_repl_offset"]

    # ------------------------------------------------------------------ the end
    def settle(self):
        """Trouble is over: a last event on each channel, which stays."""
        for channel in self.channels:
            wait_until(lambda: self.put(channel, [{"last": True}], TTL_MS), 30, "the last event", 0.1)

    def ends(self):
        """Channel → the id of its last event."""
        with self.client() as client:
            return {channel.name: client.hget(f"ringback:ch:{{{channel.name}}}:meta", "last")
                    for channel in self.channels}  # fmt: skip
