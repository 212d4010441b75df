"""The description of the admin API: is it one, and does the notifier do what it says? Every
operation and every answer that it names is driven, and each answer checked against its
schema; so is every path that the router knows."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import jsonschema
import pytest
from peers.clients import WebSocket, ask, get
from peers.process import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "notifier/web/openapi.json").read_text())
METHODS = ("get", "post", "delete", "put", "patch", "head", "options")
DIALECT = jsonschema.Draft202012Validator
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def resolve(thing):
    while isinstance(thing, dict) and "$ref" in thing:
        target = DOCUMENT
        assert thing["$ref"].startswith("#/"), thing
        for part in thing["$ref"][2:].split("/"):
            target = target[part]
        thing = target
    return thing


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            assert method in METHODS, (path, method)
            yield path, method, operation


def walk(thing, where=""):
    yield where, thing
    if isinstance(thing, dict):
        for name, value in thing.items():
            yield from walk(value, f"{where}/{name}")
    elif isinstance(thing, list):
        for i, value in enumerate(thing):
            yield from walk(value, f"{where}/{i}")


def check(schema, value, what):
    """The value against a schema whose references lead into the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = sorted(DIALECT(whole).iter_errors(value), key=str)
    assert not errors, f"{what}: {errors[0].message}\n{value!r}"


# ------------------------------------------------------------------ the document


def test_it_is_openapi():
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "security", "tags", "paths", "components"}
    assert DOCUMENT["info"]["title"] and DOCUMENT["info"]["version"]
    for where, thing in walk(DOCUMENT):
        if isinstance(thing, dict) and isinstance(thing.get("$ref"), str):
            assert resolve(thing) is not None, where
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    ids = []
    for path, method, operation in operations():
        what = f"{method} {path}"
        assert set(operation) <= {"operationId", "tags", "summary", "description", "parameters",
                                  "requestBody", "security", "responses"}, what  # fmt: skip
        ids.append(operation["operationId"])
        assert set(operation["tags"]) <= tags and operation["summary"], what
        named = []
        for parameter in map(resolve, operation.get("parameters", [])):
            assert {"name", "in", "schema", "description"} <= set(parameter), what
            assert parameter["in"] in ("query", "header", "path"), what
            assert parameter["in"] != "path" or parameter["required"] is True, what
            named += [parameter["name"]] if parameter["in"] == "path" else []
        assert sorted(named) == sorted(re.findall(r"{(\w+)}", path)), what
        for requirement in operation.get("security", DOCUMENT["security"]):
            assert set(requirement) <= set(DOCUMENT["components"]["securitySchemes"]), what
        assert "default" in operation["responses"], what
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"default|[1-5]\d\d", status), what
            response = resolve(response)
            assert response["description"], what
            if status == "default" or status >= "400":
                assert set(response["content"]) == {"application/problem+json"}, what
    assert len(set(ids)) == len(ids)


def test_its_schemas_are_schemas():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        DIALECT.check_schema(schema)
        assert name
    for where, thing in walk(DOCUMENT["paths"]):
        if where.endswith("/schema"):
            DIALECT.check_schema(thing)


def test_nothing_lies_about_unused():
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "parameters", "headers", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text or name == "Message", name


def test_the_router_and_the_document_know_the_same_paths():
    source = (ROOT / "notifier/admin.c").read_text()
    table = source[source.index("} routes[] = {") : source.index("};", source.index("} routes[] = {"))]
    rows = re.findall(r'\.path = "([^"]+)",\s*\.allow = "([^"]+)"', table)
    assert len(rows) == table.count(".path =") > 10
    routed = {(path, method.lower()) for path, allow in rows for method in allow.split(", ")
              if method != "HEAD"}  # fmt: skip
    told = {(re.sub(r"{.*", "", path), method) for path, method, _ in operations()}
    assert routed == told


def test_its_version_is_the_program_s(ringback):
    assert DOCUMENT["info"]["version"] in ringback("--version").stdout


# ------------------------------------------------------------------ the answers


class Driver:
    """Sends requests as the document has them, and checks what comes back."""

    def __init__(self):
        self.seen = set()  # (method, path, status)

    def __call__(self, base, method, path, wanted, values=None, query="", headers=None, body=None):
        operation = DOCUMENT["paths"][path][method]
        target = path
        for name, value in (values or {}).items():
            target = target.replace("{" + name + "}", quote(value, safe=",:@=~"))
        assert "{" not in target, target
        answer = ask(base + target + query, method.upper(), headers, body)
        what = f"{method} {target}{query}: {answer}"
        assert answer.status == wanted, what
        status = str(answer.status)
        key = status if status in operation["responses"] else "default"
        self.seen.add((method, path, key))
        self.check(answer, resolve(operation["responses"][key]), what)
        return answer

    def check(self, answer, response, what):
        if "content" not in response:
            assert answer.body == b"", what
        else:
            kind = answer.headers["content-type"].split(";")[0]
            assert kind in response["content"], what
            schema = response["content"][kind]["schema"]
            check(schema, answer.json() if kind.endswith("json") else answer.text, what)
        if answer.headers.get("content-type") == "application/problem+json":
            assert answer.json()["status"] == answer.status, what
        for name, header in response.get("headers", {}).items():
            if name.lower() in answer.headers:
                check(resolve(header)["schema"], answer.headers[name.lower()], what)


@pytest.fixture(scope="module")
def drive():
    return Driver()


@pytest.fixture
def ready(redis, notifier):
    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


def bury(redis, text, id):
    """What the worker gives up, as it lies in Redis."""
    redis.push(text)
    wait_until(lambda: redis.client.zcard("ringback:dead") > 0, what=f"{id} to be dead")


def test_jobs(redis, service, worker, ready, drive):
    service.define("quote", "/v1/x", [])
    worker()
    base = ready().admin
    quotes = {"service": "quote"}
    drive(base, "post", "/jobs/{service}", 202, quotes, "?channel=c&queue=q", {**JSON, "Idempotency-Key": "a"}, "{}")
    drive(base, "post", "/jobs/{service}", 202, quotes, "?channel=c&queue=q", {**JSON, "Idempotency-Key": "a"}, "{}")
    drive(base, "post", "/jobs/{service}", 422, quotes, "", {**JSON, "Idempotency-Key": "a"}, "{}")
    drive(base, "post", "/jobs/{service}", 200, quotes, "", {**JSON, "Prefer": "wait=10"}, "{}")
    drive(base, "post", "/jobs/{service}", 400, quotes, "?channel=a%20b", JSON, "{}")
    drive(base, "post", "/jobs/{service}", 400, {"service": "NO"}, "", JSON, "{}")
    drive(base, "post", "/jobs/{service}", 413, quotes, "", JSON, json.dumps({"x": "y" * (1 << 20)}))
    drive(base, "delete", "/jobs/{id}", 202, {"id": "x1"})
    drive(base, "delete", "/jobs/{id}", 400, {"id": "x 1"})
    redis.push({"service": "quote", "id": "a-1", "channel": "d"})
    wait_until(lambda: redis.terminal("d"), what="a result")
    wait_until(lambda: not redis.client.keys("ringback:held:*"), what="it to be settled")
    for id, place in (("a-1", "ended"), ("x1", "unknown")):
        assert drive(base, "get", "/jobs/{id}", 200, {"id": id}, "?channel=d").json()["place"] == place
    drive(base, "get", "/jobs/{id}", 404, {"id": "x2"})
    drive(base, "get", "/jobs/{id}", 400, {"id": "x2"}, "?channel=a%20b")


def test_the_dead(redis, service, worker, ready, drive):
    worker()
    base = ready().admin
    bury(redis, {"service": "none", "id": "d1"}, "d1")
    told = drive(base, "get", "/dead", 200, query="?limit=5").json()
    assert len(told["dead"]) == 1
    drive(base, "get", "/dead", 400, query="?limit=0")
    drive(base, "get", "/dead/{id}", 200, {"id": "d1"})
    for method in ("get", "post", "delete"):
        drive(base, method, "/dead/{id}", 404, {"id": "d2"})
        drive(base, method, "/dead/{id}", 400, {"id": "d 2"})
    drive(base, "delete", "/dead/{id}", 204, {"id": "d1"})


def test_a_dead_job_is_queued_again(redis, service, worker, ready, drive):
    worker()
    base = ready().admin
    bury(redis, {"service": "none", "id": "d1"}, "d1")
    drive(base, "post", "/dead/{id}", 202, {"id": "d1"})


def test_pauses(redis, ready, drive):
    base = ready().admin
    drive(base, "post", "/paused/{name}", 204, {"name": "default"})
    drive(base, "post", "/paused/{name}", 204, {"name": "quote"}, "?kind=service")
    told = drive(base, "get", "/paused", 200).json()
    assert told == {"queues": ["default"], "services": ["quote"]}
    drive(base, "delete", "/paused/{name}", 204, {"name": "default"})
    for method in ("post", "delete"):
        drive(base, method, "/paused/{name}", 400, {"name": "x"}, "?kind=x")


def test_publishing(redis, ready, drive):
    base = ready(max_publish="1KiB").admin
    one, many = "/publish/{channels}", "/publish"
    once = {"Idempotency-Key": '"k"', **JSON}
    drive(base, "post", one, 200, {"channels": "a"}, "?event=tick", JSON, '{"n":1}')
    drive(base, "post", one, 200, {"channels": "a,b"}, "", once, "1")
    assert drive(base, "post", one, 200, {"channels": "a,b"}, "", once, "1").headers["idempotency-replayed"] == "true"
    drive(base, "post", one, 422, {"channels": "a,b"}, "", once, "2")
    drive(base, "post", one, 400, {"channels": "a"}, "?event=gap")
    drive(base, "post", one, 413, {"channels": "a"}, "", {}, "x" * 2000)
    drive(base, "post", many, 200, None, "?channel=a&channel=b", JSON, "{}")
    line = b'{"channel":"a"}\nx\n{"channel":"b","data":"' + b"x" * 2000 + b'"}'
    told = drive(base, "post", many, 200, None, "", {**LINES, "Idempotency-Key": "k2"}, line).json()
    assert told["published"] == 1
    drive(base, "post", many, 422, None, "", {**LINES, "Idempotency-Key": "k2"}, line[:20])
    drive(base, "post", many, 400, None, "", LINES, "")
    drive(base, "post", many, 413, None, "", LINES, '{"channel":"a"}\n' * 10001)


def test_the_rate_of_publishing(redis, ready, drive):
    for path, values in (("/publish/{channels}", {"channels": "a"}), ("/publish", None)):
        base = ready(publish_rate=1, name=f"n{len(path)}").admin
        query = "" if values else "?channel=a"
        drive(base, "post", path, 200, values, query)
        drive(base, "post", path, 429, values, query)


def test_without_scripts(redis, notifier, drive):
    base = notifier(settings={"worker": {"claim": "blpop"}}).admin
    once = {"Idempotency-Key": "k", **JSON}
    drive(base, "post", "/publish/{channels}", 501, {"channels": "a"}, "", once, "1")
    drive(base, "post", "/publish", 501, None, "?channel=a", once, "1")
    drive(base, "post", "/jobs/{service}", 501, {"service": "quote"}, "", once, "{}")


def test_channels(redis, service, worker, ready, drive):
    service.define("quote", "/v1/x", [])
    worker()
    started = ready(receipts=True)
    base = started.admin
    client = WebSocket(started.url, "c")
    drive(base, "get", "/channels/{channel}", 200, {"channel": "none"})
    drive(base, "post", "/jobs/{service}", 200, {"service": "quote"}, "?channel=c", {**JSON, "Prefer": "wait=10"}, "{}")
    told = drive(base, "get", "/channels/{channel}", 200, {"channel": "c"}).json()
    assert told["last"]["event"] == "done" and told["waiters"] == 1
    drive(base, "get", "/channels/{channel}", 400, {"channel": "a b"})
    assert drive(base, "get", "/channels", 200).json()["channels"] == [{"channel": "c"}]
    told = drive(base, "get", "/channels", 200, query="?match=c*&state=waiting&limit=1").json()
    assert told["channels"] == [{"channel": "c", "waiters": 1}]
    drive(base, "get", "/channels", 400, query="?limit=0")
    drive(base, "delete", "/channels/{channel}", 204, {"channel": "c"})
    drive(base, "delete", "/channels/{channel}", 400, {"channel": "a b"})
    client.close()


def test_connections(redis, ready, drive):
    started = ready()
    client = WebSocket(started.url, "c")
    told = drive(started.admin, "get", "/connections", 200, query="?channel=c&address=127.0.0.1").json()
    drive(started.admin, "get", "/connections", 400, query="?limit=0")
    drive(started.admin, "delete", "/subscriptions", 200, query="?channel=d*")
    drive(started.admin, "delete", "/subscriptions", 400)
    drive(started.admin, "delete", "/connections/{id}", 400, {"id": "a b"})
    drive(started.admin, "delete", "/connections/{id}", 204, {"id": told["connections"][0]["id"]})
    drive(started.admin, "delete", "/connections/{id}", 404, {"id": told["connections"][0]["id"]})
    client.close()


def test_the_process(redis, ready, drive):
    base = ready().admin
    for path in ("/healthz", "/readyz", "/metrics"):
        drive(base, "get", path, 200)
    drive(base, "get", "/status", 200)
    for path in ("/", "/dashboard.css", "/dashboard.js", "/dashboard_parts.js"):
        answer = drive(base, "get", path, 200)
        drive(base, "get", path, 304, headers={"If-None-Match": answer.headers["etag"]})
    answer = drive(base, "get", "/openapi.json", 200)
    assert answer.json() == DOCUMENT
    drive(base, "get", "/openapi.json", 304, headers={"If-None-Match": answer.headers["etag"]})
    assert ask(base + "/openapi.json", "HEAD").status == 200


EXAMPLES = {"service": "quote", "id": "x-1", "name": "q", "channels": "a,b", "channel": "c"}


def bodies(path):
    headers, body = (LINES, '{"channel":"a"}') if path == "/publish" else (JSON, "{}")
    return headers, body


def test_every_operation_without_redis(redis, ready, drive):
    base = ready().admin
    redis.stop()
    wait_until(lambda: get(base + "/readyz").status == 503, what="not ready")
    for path, method, operation in operations():
        values = {name: EXAMPLES[name] for name in re.findall(r"{(\w+)}", path)}
        query = "?channel=c" if path == "/subscriptions" else ""
        headers, body = bodies(path)
        wanted = 503 if "503" in operation["responses"] else 200
        answer = drive(base, method, path, wanted, values, query, headers, body if method == "post" else None)
        assert wanted != 503 or answer.headers["retry-after"], (method, path)


def test_every_operation_without_a_token(redis, notifier, drive):
    base = notifier(admin_tokens=["sha256:" + "0" * 64]).admin
    for path, method, operation in operations():
        values = {name: EXAMPLES[name] for name in re.findall(r"{(\w+)}", path)}
        free = operation.get("security") == []
        answer = drive(base, method, path, 200 if free else 401, values)
        assert free or answer.headers["www-authenticate"].startswith("Bearer")
        drive(base, method, path, 403, values, headers={"Origin": "https://example.com"})


def test_errors_of_the_router(redis, ready, drive):
    base = ready().admin
    problem = resolve(DOCUMENT["components"]["responses"]["Error"])
    for method, target, status in (("POST", "/", 405), ("GET", "/nothing", 404), ("PUT", "/dead", 405),
                                   ("GET", "/publish/c", 405), ("POST", "/channels", 405), ("GET", "/jobs/", 404),
                                   ("GET", "/channels/a/b", 404), ("DELETE", "/metrics", 405),
                                   ("GET", "/dead?" + "x" * 20000, 414)):  # fmt: skip
        answer = ask(base + target, method)
        assert answer.status == status, (method, target, answer)
        drive.check(answer, problem, f"{method} {target}")
        assert status != 405 or answer.headers["allow"]


def test_every_answer_of_the_document_was_driven(request, drive):
    """The last one: all of the above have run, or there is nothing to say."""
    if not {item.name for item in request.session.items} >= {"test_jobs", "test_every_operation_without_a_token"}:
        pytest.skip("needs the tests above")
    told = {(method, path, status) for path, method, operation in operations()
            for status in operation["responses"]}  # fmt: skip
    assert told == drive.seen
