"""The example web apps with their slow services, and the daemons of the test."""

import sys
import urllib.error
import urllib.request

from .process import ROOT, free_port, wait_until

EXAMPLES = ROOT / "notifier" / "web" / "examples"


class Examples:
    """url ends with a slash: url + "broker/" is the broker's page. delay: the services'."""

    def __init__(self, processes, redis, service, worker, notifier, delay="0.3-0.6", failures=0):
        slow, page = free_port(), free_port()
        self.redis = redis
        self.url = f"http://127.0.0.1:{page}/"
        for definition in EXAMPLES.glob("*/services/*.yaml"):
            service.write(definition.stem, definition.read_text().replace(":9000", f":{slow}"))
        worker()
        self.settings = {"origins": [self.url.rstrip("/")], "session_cookie": "shop", "echo": True,
                         "enqueue": ["stock-quote"]}  # fmt: skip
        self.notifier = notifier(**self.settings)
        processes.start([sys.executable, EXAMPLES / "services.py", "--port", slow,
                         "--delay", delay, "--failures", failures], "services")  # fmt: skip
        processes.start(
            [sys.executable, EXAMPLES / "webapps.py", "--port", page, "--redis", redis.url,
             "--notifier", self.notifier.url, "--admin", self.notifier.admin], "webapps",
        )  # fmt: skip
        for url in (f"http://127.0.0.1:{slow}/", self.url + "look.css"):
            wait_until(lambda: answers(url), what=url)


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
