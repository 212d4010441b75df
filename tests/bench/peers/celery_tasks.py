"""Celery with threads, each job one GET on its thread's kept-alive connection; the result
goes to Celery's own backend.

    python3 celery_tasks.py JOBS        adds so many
"""

import http.client
import os
import sys
import threading
import urllib.parse

import celery
import celery.signals

REDIS = f"redis+socket://{os.environ['BENCH_REDIS']}"
app = celery.Celery("celery_tasks", broker=REDIS, backend=REDIS)
app.conf.worker_redirect_stdouts = False
mine = threading.local()


@app.task(name="call")
def call(number):
    url = urllib.parse.urlsplit(os.environ["BENCH_URL"])
    if not hasattr(mine, "http"):
        mine.http = http.client.HTTPConnection(url.hostname, url.port)
    mine.http.request("GET", f"{url.path}?n={number}")
    return mine.http.getresponse().read().decode()


@celery.signals.worker_ready.connect
def ready(**_):
    print("ready", flush=True)


if __name__ == "__main__":
    for n in range(int(sys.argv[1])):
        call.delay(n)
