"""Tokens as a web app makes them: HS256 by hand, so that a test can also make bad ones."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "an e2e secret of more than thirty-two bytes"


def encode(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(*channels, ttl=60, secret=SECRET, header=None, **claims):
    """A token for these channels that ends in `ttl` seconds (None: never)."""
    claims = {"channels": list(channels), **claims}
    if ttl is not None:
        claims["exp"] = time.time() + ttl
    text = encode(header or {"alg": "HS256", "typ": "JWT"}) + "." + encode(claims)
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + encode(digest)
