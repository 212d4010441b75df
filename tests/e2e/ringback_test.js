// ringback.js with a stand-in for WebSocket, fetch and the clock: nothing is waited for.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const test = require("node:test");
const vm = require("node:vm");

const source = fs.readFileSync(`${__dirname}/../../notifier/web/ringback.js`, "utf8");

// A browser as far as the script can tell. sockets: all that were opened; timers: what
// was set and not cleared, run by hand; answers: functions that answer fetches in turn.
function browser({ script = "https://n.example/rb/ringback.js", websocket = true } = {}) {
  const world = { sockets: [], timers: [], asked: [], answers: [], now: 1000, delays: [] };
  class WebSocket {
    constructor(url) {
      Object.assign(this, { url, closed: null });
      world.sockets.push(this);
    }
    close(code) { this.closed = code; }
    open() { this.onopen(); }
    say(event) { this.onmessage({ data: typeof event === "string" ? event : JSON.stringify(event) }); }
    end(code, reason = "") { this.onclose({ code, reason }); }
  }
  const context = {
    URL, AbortController, Promise,
    Date: { now: () => world.now },
    Math: Object.assign(Object.create(Math), { random: () => 0.5 }),
    location: { href: "https://page.example/shop/" },
    document: { currentScript: script ? { src: script } : null },
    setTimeout: (fn, ms) => { world.delays.push(ms); world.timers.push(fn); return world.timers.length; },
    clearTimeout: (id) => { if (id) world.timers[id - 1] = null; },
    fetch: async (url) => {
      world.asked.push(url);
      const answer = world.answers.shift();
      if (!answer) return new Promise(() => {});
      return answer();
    },
  };
  if (websocket) context.WebSocket = WebSocket;
  vm.runInNewContext(source, context);
  world.ringback = context.ringback;
  world.tick = () => { const due = world.timers.splice(0).filter(Boolean); due.forEach((fn) => fn()); return due.length; };
  return world;
}

const json = (status, body) => () => ({ status, json: async () => body });
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("resolves with the data of done", async () => {
  const w = browser();
  const events = [];
  const got = w.ringback("/wait/c", { onEvent: (event) => events.push(event.event) });
  assert.equal(w.sockets[0].url, "wss://page.example/wait/c?until=done");
  w.sockets[0].open();
  w.sockets[0].say({ id: "1-0", channel: "c", event: "started" });
  w.sockets[0].say({ id: "2-0", channel: "c", event: "done", data: { price: 1 } });
  assert.deepEqual({ ...(await got) }, { price: 1 });
  assert.deepEqual(events, ["started", "done"]);
  assert.equal(w.sockets[0].closed, 1000);
  assert.equal(w.tick(), 0);
});

test("a name alone is a channel at the notifier that the script came from", () => {
  const w = browser();
  w.ringback.wait("a,b");
  assert.equal(w.sockets[0].url, "wss://n.example/rb/wait/a,b?until=done");
  const module = browser({ script: null });
  module.ringback("a");
  assert.equal(module.sockets[0].url, "wss://page.example/shop/wait/a?until=done");
});

test("what the address asks for is kept", () => {
  const w = browser();
  w.ringback("http://other:8080/wait/c?token=t%20t", { since: "7-1" });
  assert.equal(w.sockets[0].url, "ws://other:8080/wait/c?token=t+t&until=done&since=7-1");
});

test("rejects with the error of failed", async () => {
  const w = browser();
  const got = w.ringback("/wait/c");
  w.sockets[0].open();
  w.sockets[0].say({ id: "1-0", channel: "c", event: "failed", error: { code: "http_status", status: 503, message: "No." } });
  await assert.rejects(got, (error) => error.code === "http_status" && error.status === 503 &&
    error.message === "No." && error.event.id === "1-0");
});

test("comes back where it was, with a growing delay", async () => {
  const w = browser();
  const got = w.ringback("/wait/a,b");
  w.sockets[0].open();
  w.sockets[0].say({ id: "5-1", channel: "b", event: "retrying" });
  w.sockets[0].end(1006);
  assert.equal(w.tick(), 1);
  assert.match(w.sockets[1].url, /until=done&since=-%2C5-1$/);
  w.sockets[1].open();
  w.sockets[1].end(1012);
  w.tick();
  w.sockets[2].open();
  w.sockets[2].end(1001);
  w.tick();
  assert.deepEqual(w.delays, [250, 500, 1000]);
  for (let i = 3; i < 12; i++) {
    w.sockets[i].open();
    w.sockets[i].end(1006);
    w.tick();
  }
  assert.equal(Math.max(...w.delays), 15000);
  w.sockets[12].open();
  w.now += 60000;
  w.sockets[12].end(1006);
  assert.equal(w.delays.at(-1), 250);
  w.tick();
  w.sockets[13].say({ id: "6-0", channel: "a", event: "done", data: 0 });
  assert.equal(await got, 0);
});

test("@session is known by its own name", () => {
  const w = browser();
  w.ringback("/wait/x,@session");
  w.sockets[0].open();
  w.sockets[0].say({ id: "5-1", channel: "session:abc", event: "started" });
  w.sockets[0].end(1006);
  w.tick();
  assert.match(w.sockets[1].url, /since=-%2C5-1$/);
});

test("a gap moves the cursor, a raw message does not", () => {
  const w = browser();
  const events = [];
  w.ringback("/wait/c", { onEvent: (event) => events.push(event) });
  w.sockets[0].open();
  w.sockets[0].say({ id: "9-0", channel: "c", event: "gap", since: "1-0" });
  w.sockets[0].say("hello");
  w.sockets[0].say("[1]");
  w.sockets[0].end(1006);
  w.tick();
  assert.match(w.sockets[1].url, /since=9-0$/);
  assert.deepEqual(events.slice(1).map((event) => [event.event, JSON.stringify(event.data)]),
    [["message", '"hello"'], ["message", "[1]"]]);
});

test("where no WebSocket opens it asks by long-poll", async () => {
  const w = browser();
  w.answers.push(json(200, { events: [{ id: "1-0", channel: "c", event: "started" }], cursor: "1-0" }),
    json(204), json(200, { events: [{ id: "2-0", channel: "c", event: "done", data: 7 }] }));
  const got = w.ringback("/wait/c");
  for (let i = 0; i < 3; i++) {
    w.sockets[i].end(1006);
    await settle();
    w.tick();
  }
  assert.equal(await got, 7);
  assert.deepEqual(w.asked, ["https://page.example/wait/c?until=done",
    "https://page.example/wait/c?until=done&since=1-0", "https://page.example/wait/c?until=done&since=1-0"]);
});

test("without WebSocket it only polls", async () => {
  const w = browser({ websocket: false });
  w.answers.push(() => { throw new TypeError("network"); }, json(503, {}), json(429, {}),
    json(200, { events: [{ event: "done", data: "x" }] }));
  const got = w.ringback("/wait/c");
  for (let i = 0; i < 3; i++) {
    await settle();
    assert.equal(w.tick(), 1);
  }
  assert.equal(await got, "x");
});

test("a refusal is told, not repeated", async () => {
  const w = browser();
  w.answers.push(json(403, { title: "Forbidden", detail: "Not yours." }));
  const got = w.ringback("/wait/c");
  w.sockets[0].end(1006);
  await assert.rejects(got, (error) => error.code === "refused" && error.status === 403 && error.message === "Not yours.");
  const other = browser();
  const closed = other.ringback("/wait/c");
  other.sockets[0].open();
  other.sockets[0].end(1008, "token expired");
  await assert.rejects(closed, (error) => error.code === "refused" && error.message === "token expired");
  const ended = browser();
  const late = ended.ringback("/wait/c", { since: "9-0" });
  ended.sockets[0].open();
  ended.sockets[0].end(1000);
  await assert.rejects(late, { code: "ended" });
  assert.equal(ended.tick(), 0);
});

test("an AbortSignal ends it", async () => {
  const w = browser();
  const control = new AbortController();
  const got = w.ringback("/wait/c", { signal: control.signal });
  w.sockets[0].open();
  control.abort(new Error("enough"));
  await assert.rejects(got, { message: "enough" });
  assert.equal(w.sockets[0].closed, 1000);
  w.sockets[0].end(1000);
  assert.equal(w.tick(), 0);
  await assert.rejects(w.ringback("/wait/c", { signal: control.signal }), { message: "enough" });
  assert.equal(w.sockets.length, 1);
  const waiting = browser();
  const later = new AbortController();
  const second = waiting.ringback("/wait/c", { signal: later.signal });
  waiting.sockets[0].open();
  waiting.sockets[0].end(1006);
  later.abort();
  await assert.rejects(second, { name: "AbortError" });
  assert.equal(waiting.tick(), 0);
});

test("what onEvent throws is not swallowed", async () => {
  const w = browser();
  const got = w.ringback("/wait/c", { onEvent: () => { throw new Error("mine"); } });
  w.sockets[0].open();
  w.sockets[0].say({ id: "1-0", channel: "c", event: "started" });
  await assert.rejects(got, { message: "mine" });
});

test("it is small, and a CommonJS module too", () => {
  assert.ok(require("node:zlib").gzipSync(source).length < 4096);
  assert.equal(typeof require(`${__dirname}/../../notifier/web/ringback.js`).wait, "function");
});
