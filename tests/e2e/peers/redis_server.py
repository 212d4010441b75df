"""A real redis-server of the test's own: unix socket, temp folder, restart and kill."""

import json
import signal
import subprocess

import redis as redis_py

from .process import free_port, wait_until


class RedisServer:
    """Starts at once. `url` is for config files, `client` a redis-py client that answers
    str, `push` the one command of a producer."""

    def __init__(self, processes, name="redis", aof=False, tcp=False, args=(), password=None):
        self._processes = processes
        self._name = name
        self.folder = processes.folder / f"{name}.data"
        self.folder.mkdir()
        self.socket = processes.folder / f"{name}.sock"
        self.port = free_port() if tcp else 0
        self._argv = [
            "redis-server", "--port", str(self.port), "--unixsocket", str(self.socket),
            "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
            "--appendonly", "yes" if aof else "no", "--appendfsync", "always",
            "--loglevel", "notice", "--maxclients", "15000", *args,
        ]  # fmt: skip
        self.url = f"redis://127.0.0.1:{self.port}/0" if tcp else f"unix://{self.socket}"
        self.unix_url = f"unix://{self.socket}"
        self.client = redis_py.Redis(
            unix_socket_path=str(self.socket), decode_responses=True, password=password
        )
        self.process = None
        self.start()

    def start(self):
        self.process = self._processes.start(self._argv, self._name)
        wait_until(self._answers, 10, f"redis-server to answer:\n{self.process.log}")

    def _answers(self):
        assert self.process.alive(), self.process.log
        try:
            return self.client.ping()
        except redis_py.exceptions.RedisError:
            return False

    def stop(self):
        """SHUTDOWN, in order: what is in the AOF stays."""
        code = self.process.stop()
        assert code == 0, self.process.log
        self.client.connection_pool.disconnect()

    def kill(self):
        self.process.kill()
        self.client.connection_pool.disconnect()

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        """Stops answering without closing anything (SIGSTOP); see resume."""
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def cli(self, *args, input=None):
        """redis-cli's answer as text."""
        return subprocess.run(
            ["redis-cli", "-s", str(self.socket), *map(str, args)],
            check=True, capture_output=True, text=True, timeout=20, input=input,
        ).stdout.rstrip("\n")  # fmt: skip

    # ------------------------------------------------------------------ the contract
    def push(self, *jobs, queue="default", prefix="ringback"):
        """RPUSH; a job is a dict, or text as it is."""
        texts = [job if isinstance(job, (str, bytes)) else json.dumps(job) for job in jobs]
        return self.client.rpush(f"{prefix}:queue:{queue}", *texts)

    def events(self, channel, prefix="ringback:ch"):
        """The events kept of a channel, as dicts with their id."""
        return [
            {"id": id, **json.loads(fields["e"])}
            for id, fields in self.client.xrange(f"{prefix}:{{{channel}}}")
        ]

    def terminal(self, channel):
        return [e for e in self.events(channel) if e["event"] in ("done", "failed")]

    def publish(self, channel, event, prefix="ringback:ch"):
        """An event published as the design's script does it: the stream, then pub/sub."""
        key = f"{prefix}:{{{channel}}}"
        text = json.dumps({"channel": channel, **event})
        script = (
            "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)\n"
            "local prev = last[1] and last[1][1] or '0-0'\n"
            "local id = redis.call('XADD', KEYS[1], 'MAXLEN', 100, '*', 'e', ARGV[1])\n"
            "redis.call('PUBLISH', KEYS[1], prev .. ' ' .. id .. ' ' .. ARGV[1])\n"
            "return id"
        )
        return self.client.eval(script, 1, key, text)

    def now_ms(self):
        seconds, microseconds = self.client.time()
        return seconds * 1000 + microseconds // 1000

    def wait_empty(self, queue="default", timeout=10.0):
        wait_until(
            lambda: not self.client.exists(f"ringback:queue:{queue}", f"ringback:retry:{queue}"),
            timeout, f"queue {queue} to be empty",
        )  # fmt: skip

