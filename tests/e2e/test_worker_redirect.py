"""Answers that lead elsewhere: whom the worker follows, how far, and with what."""

import json

import pytest
from peers.https import Authority, HttpService
from peers.policy import ended, job
from peers.process import free_port, lasting


@pytest.fixture
def http():
    """http(answer) starts an HttpService on loopback, ended with the test."""
    services = []

    def start(answer=None, **more):
        services.append(HttpService(answer=answer, **more))
        return services[-1]

    yield start
    for one in services:
        one.close()


@pytest.fixture
def define(service):
    def write(name, url, redirects=None, **more):
        definition = {"service": name, "timeout": {"total": "20s"}, **more}
        definition["request"] = {"url": url, **more.get("request", {})}
        if redirects is not None:
            definition["redirects"] = redirects
        service.write(name, json.dumps(definition))

    return write


@pytest.fixture
def ask(redis):
    def push(service):
        redis.push(job(service, service))
        return ended(redis, service)

    return push


def leads(ways):
    """An answer for HttpService: {path: (status, location)}, 200 else."""

    def answer(call):
        status, location = ways.get(call["path"], (200, None))
        return status, {"Location": location} if location else {}

    return answer


def stopped(event, status=302):
    assert event["event"] == "failed", event
    assert (event["error"]["code"], event["error"]["status"]) == ("http_status", status)


def test_none_is_followed_unless_it_is_said(http, define, worker, ask):
    peer = http(leads({"/": (302, "/there")}))
    define("plain", peer.url)
    define("zero", peer.url, {"max": 0})
    define("taken", peer.url, result={"success": [302]})
    worker()
    stopped(ask("plain"))
    stopped(ask("zero"))
    assert ask("taken")["data"]["path"] == "/"
    assert [call["path"] for call in peer.calls] == ["/"] * 3


def test_to_the_same_host(http, define, worker, ask):
    peer = http(leads({"/v1/a?x=1": (301, "b?y=2"), "/v1/b?y=2": (308, "/c#part")}))
    headers = {"Authorization": "Bearer abc", "X-Own": "yes"}
    define("quote", f"{peer.url}/v1/a?x=1", {}, request={"headers": headers})
    worker()
    data = ask("quote")["data"]
    assert data["path"] == "/c"
    assert data["headers"]["Authorization"] == "Bearer abc"
    assert data["headers"]["X-Own"] == "yes"
    assert len({call["connection"] for call in peer.calls}) == 1
    assert len({call["headers"]["Idempotency-Key"] for call in peer.calls}) == 1


@pytest.mark.parametrize(
    "status, method, expected",
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"),
     (308, "PUT", "PUT"), (302, "DELETE", "DELETE"), (303, "HEAD", "HEAD")],
)  # fmt: skip
def test_methods(http, define, worker, ask, status, method, expected):
    peer = http(leads({"/": (status, "/there")}))
    request = {"method": method}
    if method in ("POST", "PUT"):
        request["json"] = {"a": 1}
    define("quote", peer.url, {}, request=request)
    worker()
    assert ask("quote")["event"] == "done"
    first, last = peer.calls
    assert (first["method"], last["method"]) == (method, expected)
    kept = expected == method
    assert last["body"] == (first["body"] if kept else "")
    assert last["headers"].get("Content-Type") == (
        first["headers"].get("Content-Type") if kept else None
    )


def test_to_another_host_goes_nothing_that_is_secret(http, define, worker, ask):
    other = http(leads({"/there": (302, "/further")}))
    peer = http(leads({"/": (302, f"{other.url}/there")}))
    headers = {"Authorization": "Bearer ${secret.token}", "X-Key": "k-${secret.token}",
               "Cookie": "id=5", "Accept": "text/plain", "X-Plain": "yes"}  # fmt: skip
    define("quote", peer.url, {"allow": f"127.0.0.1:{other.port}"},
           request={"headers": headers}, secrets={"token": {"env": "QUOTE_TOKEN"}})  # fmt: skip
    worker(env={"QUOTE_TOKEN": "s3cret-t0ken"})
    assert ask("quote")["data"]["path"] == "/further"
    assert "s3cret-t0ken" in json.dumps(peer.calls)
    assert "s3cret-t0ken" not in json.dumps(other.calls)
    for call in other.calls:
        assert call["headers"]["Accept"] == "text/plain"
        assert call["headers"]["Idempotency-Key"]
        assert not {"Authorization", "X-Key", "Cookie", "X-Plain"} & set(call["headers"])


def test_and_back_again_with_all_of_it(http, define, worker, ask):
    way = {}
    other = http(lambda call: leads(way)(call))
    peer = http(leads({"/": (302, f"{other.url}/there")}))
    way["/there"] = (302, f"{peer.url}/home")
    define("quote", peer.url, {"allow": f"127.0.0.1:{other.port}"},
           request={"headers": {"Authorization": "Bearer abc"}})  # fmt: skip
    worker()
    assert ask("quote")["data"]["headers"]["Authorization"] == "Bearer abc"
    assert "Authorization" not in other.calls[0]["headers"]


def test_a_body_is_not_taken_to_another_host(http, define, worker, ask):
    other = http()
    peer = http(leads({"/": (307, other.url)}))
    define("quote", peer.url, {"allow": f"127.0.0.1:{other.port}"},
           request={"method": "POST", "json": {"a": 1}})  # fmt: skip
    daemon = worker()
    stopped(ask("quote"), 307)
    assert not other.calls
    assert "take the body to another host" in daemon.wait_line("job.failed")["detail"]


def test_hosts_that_are_not_in_the_list(http, define, worker, ask):
    other = http()
    named = f"http://localhost:{other.port}/"
    peer = http(leads({"/": (302, f"{other.url}/x"), "/name": (302, named)}))
    define("own", peer.url, {})
    define("name", f"{peer.url}/name", {"allow": f"127.0.0.1:{other.port}"})
    daemon = worker()
    stopped(ask("own"))
    stopped(ask("name"))
    assert not other.calls
    failed = daemon.wait_line("job.failed", service="own")
    assert f"does not name 127.0.0.1:{other.port}" in failed["detail"]


def test_network_rules_hold_on_the_way(http, define, worker, ask):
    """A name that the list has, and an address that the rules have not."""
    inner = http(host="127.0.0.2")
    metadata = "http://169.254.169.254/latest/meta-data"
    peer = http(leads({"/": (302, inner.url), "/meta": (302, metadata)}))
    define("inner", peer.url, {"allow": f"127.0.0.2:{inner.port}"},
           network={"deny": "127.0.0.2"})  # fmt: skip
    define("later", peer.url, {"allow": f"127.0.0.2:{inner.port}"},
           network={"deny": "127.0.0.2"})  # fmt: skip
    define("open", peer.url, {"allow": f"127.0.0.2:{inner.port}"})
    define("meta", f"{peer.url}/meta", {"allow": "169.254.169.254"})
    worker()
    for name in ("inner", "meta"):
        event = ask(name)
        assert event["error"]["code"] == "connect", event
        assert "not allowed by the network rules" in event["error"]["message"]
        assert "127.0.0.2" not in json.dumps(event) and "169.254" not in json.dumps(event)
    assert not inner.calls
    assert ask("open")["event"] == "done"
    assert len(inner.calls) == 1
    # Also where a connection to it rests.
    event = ask("later")
    assert "not allowed by the network rules" in event["error"]["message"]
    assert len(inner.calls) == 1


def test_a_loop_ends(http, define, worker, ask):
    peer = http(leads({"/": (302, "/b"), "/b": (302, "/")}))
    define("quote", peer.url, {"max": 5})
    daemon = worker()
    stopped(ask("quote"))
    assert len(peer.calls) == 6
    assert daemon.wait_line("job.failed")["detail"] == "more than 5 redirects"


def test_from_https_to_http(http, define, worker, ask, folder):
    authority = Authority(folder)
    plain = http()
    secure = http(leads({"/": (302, plain.url)}), context=authority.server())
    define("down", secure.url, {"allow": f"127.0.0.1:{plain.port}"},
           tls={"ca": str(authority.certificate)})  # fmt: skip
    worker()
    stopped(ask("down"))
    assert not plain.calls


def test_a_client_certificate_is_not_shown_elsewhere(http, define, worker, ask, folder):
    authority = Authority(folder)
    contexts = [authority.server("one"), authority.server("two")]
    for context in contexts:
        context.verify_mode = 1  # ssl.CERT_OPTIONAL
        context.load_verify_locations(authority.certificate)
    other = http(context=contexts[1])
    peer = http(leads({"/": (302, f"{other.url}/x")}), context=contexts[0])
    certificate, key = authority.issue("alice")
    define("quote", peer.url, {"allow": f"127.0.0.1:{other.port}"},
           tls={"ca": str(authority.certificate), "certificate": str(certificate),
                "key": str(key)})  # fmt: skip
    worker()
    assert ask("quote")["data"]["client"] is None
    assert peer.calls[0]["client"] == "alice"


def test_all_steps_share_the_time_of_one_try(service, define, worker, ask):
    define("quote", f"{service.url}/?status=302&header=Location:%2Fthere%3Fhang%3D1", {},
           timeout={"per_try": lasting(0.8)})  # fmt: skip
    worker()
    event = ask("quote")
    assert event["error"]["code"] == "timeout", event
    assert service.book()["paths"] == {"/": 1, "/there": 1}


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/", "http://", "//", "http://u:p@{own}/",
                                      "http://{own}:x/", "javascript:1"])  # fmt: skip
def test_strange_locations(http, define, worker, ask, location):
    own = []
    peer = http(lambda call: (302, {"Location": location.replace("{own}", own[0])}))
    own.append(peer.url.partition("//")[2])
    define("quote", peer.url, {})
    worker()
    stopped(ask("quote"))


def test_nobody_is_at_the_other_end(http, define, worker, ask):
    port = free_port()
    peer = http(leads({"/": (302, f"http://127.0.0.1:{port}/")}))
    define("quote", peer.url, {"allow": f"127.0.0.1:{port}"}, retry={"max_attempts": 2,
           "on": ["connect"], "backoff": {"base": "1ms"}})  # fmt: skip
    worker()
    assert ask("quote")["error"]["code"] == "connect"
    assert len(peer.calls) == 2


def test_check_explains_it(define, ringback):
    define("quote", "https://a.example", {"max": 2, "allow": ["b.example", "c.example:8443"]})
    define("own", "https://a.example", {})
    said = ringback("check", check=True).stdout
    assert "redirects: up to 2, to the same host, b.example or c.example:8443\n" in said
    assert "redirects: up to 3, to the same host\n" in said
