"""ringback token: what it makes is let in, what it checks is what the notifier says."""

import base64
import json
import os
import subprocess

import pytest
from peers.clients import poll, post
from peers.tokens import SECRET, token


@pytest.fixture
def keys(folder):
    """The files of a key pair of each kind: {kind: (to sign with, to verify with)}."""

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    made = {}
    for kind, options in {
        "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    }.items():
        private, public = folder / f"{kind}.pem", folder / f"{kind}.pub"
        openssl("genpkey", *options, "-out", private)
        openssl("pkey", "-in", private, "-pubout", "-out", public)
        made[kind] = (private, public)
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    made["HS256"] = (secret, secret)
    return made


def header(text):
    part = text.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize("kind", ["HS256", "RS256", "ES256"])
def test_each_algorithm(redis, notifier, ringback, keys, kind):
    private, public = keys[kind]
    served = notifier(auth={"mode": "token", "keys": [str(public)]})
    served.wait_line("feed.ready")
    assert post(f"{served.admin}/publish/user:7:a?event=x", "1").status == 200
    text = ringback("token", "user:7:*", "--key", private, check=True).stdout.strip()
    assert header(text)["alg"] == kind
    assert poll(served.url, "user:7:a", query=f"?token={text}").status == 200
    assert poll(served.url, "user:8:a", query=f"?token={text}").status == 403
    for other, (key, _) in keys.items():
        if other != kind:
            wrong = ringback("token", "user:7:*", "--key", key, check=True).stdout.strip()
            assert poll(served.url, "user:7:a", query=f"?token={wrong}").status == 401


def test_a_public_key_is_no_secret(redis, notifier, keys):
    """CVE-2015-9235 and its children: HS256 with the text of the RSA public key."""
    _, public = keys["RS256"]
    served = notifier(auth={"mode": "token", "keys": [str(public)]})
    served.wait_line("feed.ready")
    for secret in (public.read_text(), public.read_text().strip()):
        forged = token("a", secret=secret)
        assert poll(served.url, "a", query=f"?token={forged}").status == 401


def test_settings_say_the_rest(ringback, keys):
    settings = {"notifier": {"auth": {"keys": [str(keys["RS256"][1]), str(keys["ES256"][0])],
                                      "issuer": "shop", "audience": "rb"}}}  # fmt: skip
    made = ringback("token", "a", "b:*", "--enqueue", "stock-quote,x", "--subject", "u7",
                    "--ttl", "90s", settings=settings, check=True).stdout.strip()  # fmt: skip
    assert header(made) == {"alg": "ES256", "typ": "JWT"}
    said = json.loads(ringback("token", "--check", made, settings=settings, check=True).stdout)
    assert said["exp"] - said["iat"] in (90, 91)
    del said["exp"], said["iat"]
    assert said == {"iss": "shop", "aud": "rb", "sub": "u7", "channels": ["a", "b:*"],
                    "enqueue": ["stock-quote", "x"]}  # fmt: skip
    forever = ringback("token", "a", "--ttl", "0", settings=settings, check=True).stdout.strip()
    said = json.loads(ringback("token", "--check", forever, settings=settings, check=True).stdout)
    assert "exp" not in said
    other = ringback("token", "a", "--issuer", "x", settings=settings, check=True).stdout.strip()
    refused = ringback("token", "--check", other, settings=settings)
    assert (refused.returncode, refused.stderr) == (1, "ringback: The token is from somebody else.\n")


@pytest.mark.parametrize(
    "words, code, expected",
    [
        ([], 64, "expected channels"),
        (["a*b"], 64, "is no channel's name"),
        (["a b"], 64, "is no channel's name"),
        (["a", "--enqueue", "A"], 64, "is no service's name"),
        (["a", "--ttl", "x"], 64, "--ttl"),
        (["a", "--ttl", "106751991167d"], 64, "--ttl"),
        (["a", "--subject", os.fsdecode(b"u\xff")], 64, "sub: the text is not UTF-8"),
        (["a", "--kid", "x"], 1, "no key with the id x can sign"),
        (["--check", "a.b.c"], 1, "The token's header is not right."),
    ],
)
def test_misuse(ringback, keys, words, code, expected):
    done = ringback("token", *words, "--key", keys["HS256"][0])
    assert done.returncode == code
    assert expected in done.stderr
    assert done.stdout == ""


def test_a_key_that_is_missing(ringback):
    assert ringback("token", "a").returncode == 64
    done = ringback("token", "a", "--key", "/nowhere")
    assert (done.returncode, done.stderr) == (
        78, "/nowhere: the key can't be read: No such file or directory\n"
    )  # fmt: skip
