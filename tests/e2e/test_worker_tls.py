"""TLS between the worker and services: whom it trusts, who it says it is, and what it takes
at SIGHUP."""

import json
import shutil
import signal
import ssl

import pytest
from peers.https import Authority, HttpService, openssl
from peers.policy import ended, job
from peers.process import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def https():
    """https(context) starts an HttpService, ended with the test."""
    services = []

    def start(context=None, **more):
        services.append(HttpService(context, **more))
        return services[-1]

    yield start
    for one in services:
        one.close()


@pytest.fixture
def define(service):
    def write(name, peer, tls=None, url=None, **more):
        request = {"url": url or f"{peer.url}/{name}", **more.pop("request", {})}
        definition = {"service": name, "request": request, "timeout": {"total": "20s"}, **more}
        if tls:
            definition["tls"] = {key: str(value) for key, value in tls.items()}
        service.write(name, json.dumps(definition))

    return write


@pytest.fixture
def ask(redis):
    """ask(service) → the terminal event of a job of its own."""
    count = iter(range(1000))

    def push(service):
        channel = f"{service}-{next(count)}"
        redis.push(job(service, channel))
        return ended(redis, channel)

    return push


def refused(event):
    """It failed for TLS, and tells browsers nothing of where."""
    assert event["event"] == "failed", event
    assert event["error"]["code"] == "tls", event
    assert not {"127.0.0.1", "localhost", ".crt"} & set(event["error"]["message"].split()), event
    return event["error"]["message"]


def identity(authority, name):
    certificate, key = authority.issue(name)
    return {"ca": authority.certificate, "certificate": certificate, "key": key}


def test_an_authority_of_its_own(authority, https, define, worker, ask):
    peer = https(authority.server())
    define("own", peer, {"ca": authority.certificate})
    define("systems", peer)
    worker()
    assert ask("own")["data"]["path"] == "/own"
    assert "could not be verified" in refused(ask("systems"))
    assert ask("own")["event"] == "done"


def test_the_systems_certificates_do_not_help_another_authority(
    authority, stranger, https, define, worker, ask
):
    define("other", https(authority.server()), {"ca": stranger.certificate})
    worker()
    assert "could not be verified" in refused(ask("other"))


def test_expired_and_wrong_name(authority, https, define, worker, ask):
    expired = https(authority.server("expired", days=-1))
    elsewhere = https(authority.server("elsewhere", alternative="DNS:elsewhere.test"))
    define("expired", expired, {"ca": authority.certificate})
    define("elsewhere", elsewhere, {"ca": authority.certificate})
    worker()
    refused(ask("expired"))
    refused(ask("elsewhere"))
    assert not expired.calls and not elsewhere.calls


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(authority, stranger, https, define, worker, ask, newest):
    peer = https(authority.server(clients=True, newest=newest))
    combined = authority.folder / "combined.pem"
    files = authority.issue("alice")
    combined.write_bytes(b"".join(file.read_bytes() for file in files))
    define("shown", peer, identity(authority, "alice"))
    define("combined", peer, {"ca": authority.certificate, "certificate": combined})
    define("missing", peer, {"ca": authority.certificate})
    define("unknown", peer, {**identity(stranger, "mallory"), "ca": authority.certificate})
    worker()
    assert ask("shown")["data"]["client"] == "alice"
    assert ask("combined")["data"]["client"] == "alice"
    refused(ask("missing"))
    event = ask("unknown")
    # With TLS 1.3 the server may close before its alert is read.
    assert event["error"]["code"] in ("tls", "connect"), event
    assert {call["path"] for call in peer.calls} == {"/shown", "/combined"}


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_certificate_is_a_failure_of_tls(authority, https, define, worker, ask, newest):
    """With TLS 1.2 the alert comes within the handshake, with 1.3 behind it, where it is
    often lost: while we send a long body nearly always."""
    peer = https(authority.server(clients=True, newest=newest))
    define("missing", peer, {"ca": authority.certificate}, retry={"max_attempts": 1},
           request={"method": "POST", "body": "x" * 60000})  # fmt: skip
    worker()
    for _ in range(8):
        refused(ask("missing"))


def test_the_least_version(authority, https, define, worker, ask):
    old = https(authority.server(newest=ssl.TLSVersion.TLSv1_2))
    new = https(authority.server())
    define("old", old, {"ca": authority.certificate})
    define("strict", old, {"ca": authority.certificate, "min_version": "1.3"})
    define("new", new, {"ca": authority.certificate, "min_version": "1.3"})
    worker()
    assert ask("old")["event"] == "done"
    refused(ask("strict"))
    assert ask("new")["event"] == "done"


def test_two_identities_share_no_connection(authority, https, define, worker, ask):
    """To one host, one after the other, so that a connection rests each time."""
    peer = https(authority.server(clients=True))
    names = ["alice", "bob"]
    for name in names:
        define(name, peer, identity(authority, name))
    worker()
    for _ in range(4):
        for name in names:
            assert ask(name)["data"]["client"] == name
    used = {n: {c["connection"] for c in peer.calls if c["path"] == f"/{n}"} for n in names}
    assert not used["alice"] & used["bob"], used
    assert len(used["alice"]) < 4, "none of its own is used again"


def test_no_identity_uses_no_connection_of_another(authority, https, define, worker, ask):
    context = authority.server()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(authority.certificate)
    peer = https(context)
    define("alice", peer, identity(authority, "alice"))
    define("nobody", peer, {"ca": authority.certificate})
    worker()
    for _ in range(3):
        assert ask("alice")["data"]["client"] == "alice"
        assert ask("nobody")["data"]["client"] is None


def test_sighup_takes_what_was_renewed(authority, https, define, worker, ask, folder):
    peer = https(authority.server(clients=True))
    certificate, key = folder / "client.crt", folder / "client.key"

    def renew(name):
        for source, target in zip(authority.issue(name), (certificate, key)):
            shutil.copy(source, target)

    renew("first")
    # Relative to the definition's folder.
    define("quote", peer, {"ca": authority.certificate, "certificate": "../client.crt",
                           "key": "../client.key"})  # fmt: skip
    daemon = worker()
    assert ask("quote")["data"]["client"] == "first"
    renew("second")
    assert ask("quote")["data"]["client"] == "first"
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reloaded")
    assert ask("quote")["data"]["client"] == "second"

    # A certificate without its key, as it is between two steps of a renewal.
    shutil.copy(authority.issue("third")[0], certificate)
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reload_refused")
    assert "client.key: the key is not the certificate's" in daemon.log
    assert ask("quote")["data"]["client"] == "second"
    assert "PRIVATE KEY" not in daemon.log


def test_an_expired_client_certificate_is_told(authority, https, define, worker, ask):
    """The service is its judge; the operator is warned."""
    peer = https(authority.server(clients=True))
    names = ("ca", "certificate", "key")
    old = dict(zip(names, (authority.certificate, *authority.issue("old", days=-1))))
    define("old", peer, old)
    define("fresh", peer, identity(authority, "fresh"))
    daemon = worker()
    assert daemon.wait_line("tls.certificate_expired")["service"] == "old"
    assert ask("old")["event"] == "failed"
    assert ask("fresh")["event"] == "done"
    assert len(daemon.lines("tls.certificate_expired")) == 1
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: len(daemon.lines("tls.certificate_expired")) == 2)


def test_each_of_several_calls_has_its_own(authority, https, service, worker, ask):
    peer = https(authority.server(clients=True))
    legs = {
        name: {"request": {"url": f"{peer.url}/{name}"},
               "tls": {k: str(v) for k, v in identity(authority, name).items()},
               "result": {"select": "/client"}}
        for name in ("alice", "bob")
    }  # fmt: skip
    service.write("both", json.dumps({"service": "both", "calls": legs}))
    worker()
    assert ask("both")["data"] == {"alice": "alice", "bob": "bob"}


def test_credentials_of_systemd(authority, https, define, worker, ask, folder, service):
    peer = https(authority.server(clients=True))
    credentials = folder / "credentials"
    credentials.mkdir()
    for source, name in zip(authority.issue("alice"), ("cert", "key")):
        shutil.copy(source, credentials / name)
    tls = {"ca": {"file": str(authority.certificate)}, "certificate": {"credential": "cert"},
           "key": {"credential": "key"}}  # fmt: skip
    service.write("q", json.dumps({"service": "q", "tls": tls, "request": {"url": peer.url}}))
    worker(env={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert ask("q")["data"]["client"] == "alice"


def mistakes(ringback, service, tls, url="https://x"):
    service.write("q", json.dumps({"service": "q", "request": {"url": url}, "tls": tls}))
    done = ringback("check")
    assert done.returncode == 78, done
    assert "-----END" not in done.stdout + done.stderr
    return done.stderr


def test_every_mistake_is_told(authority, stranger, ringback, service, folder):
    certificate, key = map(str, authority.issue("alice"))
    foreign = str(stranger.issue("mallory")[1])
    sealed, broken, empty = (folder / name for name in ("sealed.key", "broken.crt", "empty"))
    asking = folder / "asking.crt"
    header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC," + 32 * "0" + "\n\n"
    asking.write_text(open(certificate).read().replace("CERTIFICATE-----\n",
                                                       "CERTIFICATE-----\n" + header, 1))
    openssl("ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", sealed)
    broken.write_text(open(certificate).read().replace("\nM", "\nX", 1))
    empty.write_text("")
    said = {
        "gone.crt can't be read: No such file": {"ca": "gone.crt"},
        "can't be read: Is a directory": {"ca": str(folder)},
        "expected certificates in PEM": {"ca": key},
        "empty: expected certificates in PEM": {"ca": str(empty)},
        "broken.crt: one of the certificates is broken": {"ca": str(broken)},
        "broken.crt: the certificate is broken": {"certificate": str(broken), "key": key},
        "the certificate is encrypted": {"certificate": str(asking), "key": key},
        "expected a certificate in PEM": {"certificate": key},
        "expected a private key in PEM": {"certificate": certificate},
        "the key is not the certificate's": {"certificate": certificate, "key": foreign},
        "the key is encrypted": {"certificate": certificate, "key": str(sealed)},
        "key stands without certificate": {"key": key},
        "expected 1.2 or 1.3, got \"1.1\"": {"min_version": "1.1"},
        "expected ca, certificate or min_version": {},
        "unknown key \"verify\"": {"verify": "off"},
        "expected one of file and credential": {"ca": {}},
        "CREDENTIALS_DIRECTORY is not set": {"ca": {"credential": "ca"}},
    }  # fmt: skip
    for expected, tls in said.items():
        told = mistakes(ringback, service, tls)
        assert expected in told, (expected, told)
        assert "q.yaml:1:" in told
    told = mistakes(ringback, service, {"min_version": "1.3"}, "http://x")
    assert "begins with http://" in told


def test_check_explains_it(authority, ringback, define):
    class Peer:
        url = "https://quotes.example.com"

    define("q", Peer, {**identity(authority, "alice"), "min_version": "1.3"})
    old = dict(zip(("certificate", "key"), authority.issue("old", days=-1)))
    define("r", Peer, old)
    said = ringback("check", check=True).stdout
    assert "tls: 1.3 at least, verified by 1 certificate of its own" in said
    assert "tls: a client certificate is shown, valid until 2" in said
    assert "tls: 1.2 at least, verified by the system's certificates" in said
    assert "it has EXPIRED" in said
    assert "PRIVATE" not in said and "BEGIN" not in said


def test_a_file_too_many_is_no_start(authority, define, worker, folder):
    class Peer:
        url = "https://quotes.example.com"

    define("q", Peer, {"ca": "../none.crt"})
    daemon = worker(wait=False)
    assert daemon.wait() == 78
    assert wait_until(lambda: "q.yaml:1:" in daemon.log and "none.crt" in daemon.log)
