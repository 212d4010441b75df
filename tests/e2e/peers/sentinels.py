"""A master, its replica and three redis-sentinels that watch them."""

import redis as redis_py

from .process import free_port, patience, wait_until
from .redis_server import RedisServer


class Sentinels:
    """`master` and `replica` are RedisServers, `nodes` what a config file says of the
    Sentinels. fail_over() kills the master and waits until the replica is one."""

    NAME = "main"

    def __init__(self, processes, down_after_s=0.5, password=None, aof=False, args=()):
        self._processes = processes
        # A machine that stops everybody for a moment is no reason to fail over.
        down_after_ms = int(patience(down_after_s) * 1000)
        args = ["--repl-diskless-sync-delay", "0", *args]
        if password:
            args += ["--requirepass", password, "--masterauth", password]
        more = {"tcp": True, "password": password, "aof": aof}
        self.master = RedisServer(processes, "master", args=args, **more)
        self.replica = RedisServer(
            processes, "replica", **more,
            args=["--replicaof", f"127.0.0.1 {self.master.port}", *args])  # fmt: skip
        wait_until(self._replicates, 20, "the replica to be in step")
        self.ports = [free_port() for _ in range(3)]
        self.nodes = [f"127.0.0.1:{port}" for port in self.ports]
        self.processes = [self._start(port, down_after_ms, password) for port in self.ports]
        for node in range(3):
            wait_until(lambda: self.ask(node, "MASTERS"), 20, "a Sentinel")
            # They look and tell more often than each ten and two seconds.
            self.ask(node, "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "200")
        wait_until(lambda: all(self._knows_all(node) for node in range(3)), 20,
                   "the Sentinels to know each other")  # fmt: skip

    def _replicates(self):
        return self.replica.client.info("replication")["master_link_status"] == "up"

    def _start(self, port, down_after_ms, password):
        file = self._processes.folder / f"sentinel.{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._processes.folder}\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {self.NAME} {down_after_ms}\n"
            f"sentinel failover-timeout {self.NAME} 5000\n"
            + (f"sentinel auth-pass {self.NAME} {password}\n" if password else "")
        )
        return self._processes.start(["redis-sentinel", file], f"sentinel.{port}")

    def ask(self, node, *words):
        """SENTINEL …; None when that node does not answer."""
        client = redis_py.Redis(port=self.ports[node], decode_responses=True)
        try:
            return client.execute_command("SENTINEL", *words)
        except redis_py.exceptions.RedisError:
            return None

    def _knows_all(self, node):
        state = self.ask(node, "MASTER", self.NAME)
        if not isinstance(state, dict):  # a flat list, in older redis-py
            state = dict(zip((state or [])[::2], (state or [])[1::2]))
        return state.get("num-other-sentinels") == "2" and state.get("num-slaves") == "1"

    def settings(self):
        return {"url": "redis://127.0.0.1:1/0", "command_timeout": "1s",
                "sentinel": {"master": self.NAME, "nodes": self.nodes}}  # fmt: skip

    @staticmethod
    def is_now(server, role):
        try:  # the Sentinel cuts the links of those who spoke to it in its old role
            return server.client.role()[0] == role
        except redis_py.exceptions.ConnectionError:
            return False

    def wait_promoted(self):
        wait_until(lambda: self.is_now(self.replica, "master"), 30, "the failover")

    def fail_over(self):
        self.master.kill()
        self.wait_promoted()
