"""Secrets of services are nowhere but in the requests: not in logs, events, Redis, metrics,
or what the command says, however the service fails."""

import json
import signal
import socket
import threading

import pytest
from peers.clients import get, post
from peers.https import Authority, HttpService
from peers.policy import ended, job
from peers.process import free_port, wait_until

ENV, FILE, CREDENTIAL = "SeCreTofEnvir0nment", "SeCreT0fAfiLe77", "SeCreToFsySt3md"
SECRETS = {"env": ENV, "file": FILE, "credential": CREDENTIAL}
PLACES = {
    "query": {"q": "${secret.env}"},
    "headers": {"Authorization": "Bearer ${secret.file}", "X-All": "${secret.env}-${secret.file}"},
    "json": {"password": "${secret.credential}", "who": "${who}"},
}


def parrot(port_of_nobody):
    """Answers for HttpService: fails as the path says, repeating the secrets it was sent."""

    def answer(call):
        said = call["path"] + json.dumps(call["headers"]) + call["body"]
        kind = call["path"].split("/")[1]
        leak = "&".join(value for value in SECRETS.values() if value in said)
        if kind in ("away", "around"):
            host = call["headers"]["Host"] if kind == "around" else f"127.0.0.1:{port_of_nobody}"
            return 307, {"Location": f"http://{host}/around/?{leak}", "X-Leak": leak}
        status = {"broken": 500, "slower": 429, "moved": 302}.get(kind, 200)
        return status, {"X-Leak": leak, "Retry-After": "0"}

    return answer


@pytest.fixture
def garbage():
    """A service that repeats the head it got in place of an answer."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.sendall(client.recv(65536))

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def everything_in(redis):
    """All keys and values, as one text."""
    found, raw = [], redis.client
    readers = {
        "string": raw.get,
        "list": lambda key: raw.lrange(key, 0, -1),
        "hash": raw.hgetall,
        "set": raw.smembers,
        "zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
        "stream": raw.xrange,
    }
    for key in raw.scan_iter(count=1000):
        found.append(f"{key} {readers[raw.type(key)](key)!r}")
    return "\n".join(found)


def holds_none(text, where, more=()):
    for secret in (*SECRETS.values(), *more):
        at = text.find(secret)
        assert at < 0, f"{where} holds a secret: …{text[max(0, at - 200):at + 40]}…"


def fails_and_is_logged(redis, daemon, name):
    """The log shows ten failures a second: asks again until it has shown this one's."""
    count = iter(range(10000))

    def push():
        channel = f"{name}.{next(count)}"
        redis.push(job(name, channel, params={"who": "me"}))
        assert ended(redis, channel, 20)["event"] == "failed", name
        return daemon.lines("job.failed", service=name)

    wait_until(push, interval=0.1, what=f"a log line of {name}")


@pytest.fixture
def secrets(folder, service):
    """The secrets, where definitions and the worker find them."""
    (service.folder / "token").write_text(FILE + "\n")
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "password").write_text(CREDENTIAL)
    service.secrets = {"env": {"env": "SERVICE_TOKEN"}, "file": {"file": "token"},
                       "credential": {"credential": "password"}}  # fmt: skip
    return {"SERVICE_TOKEN": ENV, "CREDENTIALS_DIRECTORY": str(credentials)}


def test_secrets_are_nowhere(
    redis, service, secrets, garbage, worker, notifier, ringback, folder
):
    authority = Authority(folder)
    certificate, key = authority.issue("client")
    nobody, silent = free_port(), socket.create_server(("127.0.0.1", 0), backlog=64)
    plain = HttpService(answer=parrot(nobody))
    secure = HttpService(authority.server(clients=True), answer=parrot(nobody))
    key_line = key.read_text().splitlines()[1]
    tls = {"ca": str(authority.certificate), "certificate": str(certificate), "key": str(key)}

    def define(name, base, **more):
        request = {"url": f"{base}/{name.split('-')[0]}/${{secret.env}}", **PLACES}
        definition = {
            "service": name, "secrets": service.secrets, "timeout": {"total": "20s"},
            "params": {"who": {"type": "string", "pattern": "^[a-z]*$"}},
            "progress": ["started", "retrying", "partial"], "request": request, **more,
        }  # fmt: skip
        if "calls" in more:
            del definition["request"]
        service.write(name, json.dumps(definition))
        return name

    url = plain.url
    stale = {"ttl": "1m", "stale_if_error": "1m", "negative_ttl": "1m", "coalesce": True}
    again = {"max_attempts": 3, "on": ["connect", "reset", "timeout", "429", "5xx"],
             "backoff": {"base": "1ms", "max": "2ms"}}  # fmt: skip
    leg = {"request": {"url": url + "/broken/${secret.env}", **PLACES}}
    good = {"select": "/method"}
    done = [
        define("fine", url, result=good, cache=stale),
        define("secure", secure.url, result=good, tls=tls),
    ]
    failing = [
        define("broken", url, retry=again, cache=stale),
        define("slower", url, retry=again),
        define("moved", url),
        define("away", url, redirects={}),
        define("around", url, redirects={"max": 2}),
        define("away-listed", url, redirects={"allow": [f"127.0.0.1:{nobody}"]}),
        define("empty", url, result={"select": "/no/such/place"}),
        define("large", url, result={"max_bytes": 10}),
        define("refused", f"http://127.0.0.1:{nobody}", retry=again),
        define("nowhere", "http://no-such-host.invalid", retry=again),
        define("silent", f"http://127.0.0.1:{silent.getsockname()[1]}",
               timeout={"per_try": "100ms", "total": "300ms"}, retry=again),
        define("garbage", f"http://127.0.0.1:{garbage}", retry=again),
        define("denied", url, network={"deny": "loopback"}),
        define("secure-not", secure.url, tls={"ca": str(authority.certificate)}),
        define("secure-unknown", secure.url),
        define("plain-tls", url.replace("http:", "https:")),
        define("several", url, calls={"one": leg, "two": leg}, need="all"),
    ]  # fmt: skip
    metrics = free_port()
    env = {"env": secrets}
    daemon = worker(metrics=f"127.0.0.1:{metrics}", **env)
    front = notifier()
    for name in failing:
        fails_and_is_logged(redis, daemon, name)
    for name in done + failing:
        redis.push(job(name, f"{name}.invalid", params={"who": "ME"}))
        redis.push({"service": name, "params": {}})  # its failure is kept among the dead
    for name in done:
        redis.push(job(name, name, params={"who": "me"}))
        assert ended(redis, name)["event"] == "done", name
        redis.push(job(name, f"{name}.again", params={"who": "me"}))
        ended(redis, f"{name}.again")
    for name in done + failing:
        assert ended(redis, f"{name}.invalid")["error"]["code"] == "invalid_params"
    post(f"{front.admin}/jobs/broken?channel=http", {"who": "me"})
    assert ended(redis, "http")["event"] == "failed"
    redis.wait_empty()
    wait_until(lambda: redis.client.zcard("ringback:dead") or redis.client.exists("ringback:dead"))

    # The services were sent all of them: what follows would find one.
    sent = json.dumps(plain.calls)
    assert all(secret in sent for secret in SECRETS.values())

    # A file that becomes wrong: the mistake is told, and not what stands in it.
    (service.folder / "token").write_text(FILE + "\n" + FILE + "\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reload_refused")
    told = ringback("check", **env)
    assert told.returncode == 78
    assert "the secret holds a control character" in told.stderr
    (service.folder / "token").write_text(FILE)
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reloaded")

    seen = {
        "the worker's log": daemon.log,
        "the notifier's log": front.log,
        "Redis": everything_in(redis),
        "the worker's metrics": get(f"http://127.0.0.1:{metrics}/metrics").text,
        "the notifier's metrics": get(f"{front.admin}/metrics").text,
        "a wrong check": told.stdout + told.stderr,
    }
    for words in (["check"], ["check", "--connect"], ["status", "--json"], ["status"],
                  ["dead", "list"]):  # fmt: skip
        answer = ringback(*words, **env)
        seen[" ".join(words)] = answer.stdout + answer.stderr
    assert '"done"' in seen["Redis"] and "job.failed" in seen["the worker's log"]
    assert "ringback:dead" in seen["Redis"] and "ringback:cache" in seen["Redis"]
    daemon.stop()
    seen["the worker's log at its end"] = daemon.log
    seen["Redis at the end"] = everything_in(redis)
    for where, text in seen.items():
        assert text, where
        holds_none(text, where, [key_line])
    silent.close()
    plain.close()
    secure.close()
