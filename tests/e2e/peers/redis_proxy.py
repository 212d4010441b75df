"""A TCP proxy in front of Redis that can answer nonsense, cut, or fall silent."""

import socket
import threading


class RedisProxy:
    """url is redis://127.0.0.1:<port>/0. `mode` holds for connections to come and for what
    those that are open say next:
    forward   all bytes pass
    silent    bytes are taken and nothing comes back
    refuse    connections are closed at once
    bytes     these bytes are the answer to whatever is asked, e.g. b"$-7\\r\\n"
    """

    def __init__(self, redis):
        self.target = str(redis.socket)
        self.mode = "forward"
        self.connections = 0  # taken so far
        self.nonsense = 0  # answers given in place of Redis
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode == "refuse":
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            self._open |= {client, server}
            try:
                server.connect(self.target)
            except OSError:
                self._drop(client, server)
                continue
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, target, asked):
        try:
            while data := source.recv(65536):
                if isinstance(self.mode, bytes):
                    if asked:
                        self.nonsense += 1
                        source.sendall(self.mode)
                elif self.mode == "forward":
                    self._forwarded(data, target, asked)
        except OSError:
            pass
        self._drop(source, target)

    def _forwarded(self, data, target, asked):
        target.sendall(data)

    def _drop(self, *sockets):
        for one in sockets:
            self._open.discard(one)
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self):
        """Closes every open connection."""
        self._drop(*list(self._open))

    def close(self):
        self._listener.close()
        self.cut()


class DeafProxy(RedisProxy):
    """What Redis is told arrives; what it answers on the links of this name that are open at
    fall_deaf() does not."""

    def __init__(self, redis, link):
        self.deaf, self.links = set(), set()
        self.greeting = f"\r\n{link}\r\n".encode()
        super().__init__(redis)

    def fall_deaf(self):
        self.deaf = set(self.links)

    def _pass(self, source, target, asked):
        try:
            while data := source.recv(65536):
                if asked and self.greeting in data:
                    self.links.add(target)
                if asked or source not in self.deaf:
                    target.sendall(data)
        except OSError:
            pass
        self._drop(source, target)


class HoldingProxy(DeafProxy):
    """From the first time that a link of this name asks this command, nothing that Redis
    answers on it arrives before release()."""

    def __init__(self, redis, link, command):
        self.holds, self.released = threading.Event(), threading.Event()
        self.command = f"\r\n{command}\r\n".encode()
        super().__init__(redis, link)

    def release(self):
        self.released.set()

    def close(self):
        self.release()
        super().close()

    def _pass(self, source, target, asked):
        try:
            while data := source.recv(65536):
                if asked and self.greeting in data:
                    self.links.add(target)
                if asked and target in self.links and self.command in data:
                    self.deaf.add(target)
                    self.holds.set()
                if not asked and source in self.deaf:
                    self.released.wait()
                target.sendall(data)
        except OSError:
            pass
        self._drop(source, target)
