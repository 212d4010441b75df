// ringback.js with stand-ins for WebSocket, fetch and the clock: nothing is waited for.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const test = require("node:test");
const vm = require("node:vm");

const web = `${__dirname}/../../notifier/web`;
const source = fs.readFileSync(`${web}/ringback.js`, "utf8");

// A browser as far as the script can tell. sockets: all that were opened; timers: what was
// set and not cleared, run by hand; asked: all fetches; answers: functions that answer them.
function browser({ script = "https://n.example/rb/ringback.js", websocket = true, readyState = "loading" } = {}) {
  const world = { sockets: [], timers: [], asked: [], answers: [], now: 1000, handlers: {} };
  const on = (name, fn) => { world.handlers[name] = fn; };
  class WebSocket {
    constructor(url) {
      Object.assign(this, { url: String(url), closed: null, said: [] });
      world.sockets.push(this);
    }
    send(text) { this.said.push(JSON.parse(text)); }
    close(code) { this.closed = code; }
    open() { this.onopen(); }
    say(event) { this.onmessage({ data: typeof event === "string" ? event : JSON.stringify(event) }); }
    end(code, reason = "") { this.onclose({ code, reason }); }
  }
  const context = {
    URL, AbortController, Promise, TextDecoder,
    Date: { now: () => world.now },
    Math: Object.assign(Object.create(Math), { random: () => 0.5 }),
    location: { href: "https://page.example/shop/" },
    document: { hidden: false, readyState, currentScript: script ? { src: script } : null,
      addEventListener: on, querySelector: () => null },
    addEventListener: on,
    setTimeout: (fn, ms) => world.timers.push({ fn, ms }) && world.timers.length,
    clearTimeout: (id) => { if (id) world.timers[id - 1].fn = null; },
    fetch: (url, options) => {
      world.asked.push(String(url));
      world.options = options;
      const answer = world.answers.shift();
      return new Promise((resolve, reject) => {
        options.signal?.addEventListener("abort", () => reject(options.signal.reason));
        if (answer) resolve(answer(options));
      });
    },
  };
  if (websocket) context.WebSocket = WebSocket;
  vm.runInNewContext(source, context);
  world.ringback = context.ringback;
  world.document = context.document;
  // Runs the timers that are set, and what follows; answers with their times.
  world.tick = async () => {
    await settle();
    const due = world.timers.filter(({ fn }) => fn);
    for (const timer of due) {
      const { fn } = timer;
      timer.fn = null;
      if (fn) fn();
    }
    await settle();
    return due.map(({ ms }) => ms);
  };
  // The latest socket, opened.
  world.opened = async () => {
    await world.tick();
    world.sockets.at(-1).open();
    return world.sockets.at(-1);
  };
  return world;
}

const json = (status, body) => () => ({ status, ok: status < 300, json: async () => body });
const settle = () => new Promise((resolve) => setImmediate(resolve));
const done = (channel, data, id = "2-0") => ({ id, channel, event: "done", job: "j", data });

// A body that comes piece by piece: give(text), end().
function stream() {
  const pieces = [];
  let wake = () => {};
  const push = (piece) => { pieces.push(piece); wake(); };
  return {
    give: (text) => push({ value: Buffer.from(text), done: false }),
    end: () => push({ done: true }),
    answer: ({ signal }) => ({ status: 200, body: { getReader: () => ({
      read: async () => {
        while (!pieces.length)
          await new Promise((resolve, reject) => {
            wake = resolve;
            signal.addEventListener("abort", () => reject(signal.reason));
          });
        return pieces.shift();
      },
    }) } }),
  };
}

test("resolves with the data of done", async () => {
  const w = browser();
  const events = [];
  const got = w.ringback("/wait/c", { onEvent: (event) => events.push(event.event) });
  const socket = await w.opened();
  assert.equal(socket.url, "wss://page.example/wait/c");
  socket.say({ id: "1-0", channel: "c", event: "started" });
  socket.say(done("c", { price: 1 }));
  assert.deepEqual({ ...(await got) }, { price: 1 });
  assert.deepEqual(events, ["started", "done"]);
  assert.equal(socket.closed, 1000);
  assert.deepEqual(await w.tick(), []);
});

test("a name alone is a channel at the notifier that the script came from", async () => {
  const w = browser();
  w.ringback.wait("a,b");
  await w.tick();
  assert.equal(w.sockets[0].url, "wss://n.example/rb/wait/a,b");
  const module = browser({ script: null });
  module.ringback("a");
  await module.tick();
  assert.equal(module.sockets[0].url, "wss://page.example/shop/wait/a");
});

test("what the address asks for is kept, but for its end", async () => {
  const w = browser();
  w.ringback("http://other:8080/wait/c?token=t%20t&until=done", { since: "7-1" });
  await w.tick();
  assert.equal(w.sockets[0].url, "ws://other:8080/wait/c?token=t+t&since=7-1");
});

test("rejects with the error of failed", async () => {
  const w = browser();
  const got = w.ringback("/wait/c");
  (await w.opened()).say({ id: "1-0", channel: "c", event: "failed",
    error: { code: "http_status", status: 503, message: "No." } });
  await assert.rejects(got, (error) => error instanceof w.ringback.Error && error.code === "http_status" &&
    error.status === 503 && error.message === "No." && error.event.id === "1-0");
});

test("waits for one job among several of its channel", async () => {
  const w = browser();
  const got = w.ringback("/wait/c", { job: "mine" });
  const socket = await w.opened();
  socket.say({ ...done("c", 1), job: "other" });
  socket.say({ id: "3-0", channel: "c", event: "failed", job: "another" });
  socket.say({ ...done("c", 2, "4-0"), job: "mine" });
  assert.equal(await got, 2);
});

test("a page has one connection for all its channels", async () => {
  const w = browser();
  const a = w.ringback("/wait/a"), b = w.ringback("/wait/b", { since: "1-0" });
  const socket = await w.opened();
  assert.match(socket.url, /\/wait\/a,b\?since=-%2C1-0$/);
  const c = w.ringback("/wait/c", { since: "5-0" });
  assert.deepEqual(socket.said, [{ subscribe: "c", since: "5-0" }]);
  socket.say({ subscribed: "c" });
  socket.say(done("b", "B"));
  assert.equal(await b, "B");
  assert.deepEqual(socket.said[1], { unsubscribe: "b" });
  socket.say({ unsubscribed: "b" });
  socket.say(done("c", "C"));
  socket.say(done("a", "A"));
  assert.deepEqual([await a, await c], ["A", "C"]);
  assert.equal(socket.closed, 1000);
  assert.equal(w.sockets.length, 1);
});

test("what was asked for while the socket opened is asked for on it", async () => {
  const w = browser();
  const control = new AbortController();
  const a = w.ringback("/wait/a", { signal: control.signal });
  await w.tick();
  const b = w.ringback("/wait/b");
  assert.deepEqual(await w.tick(), []);
  control.abort(new Error("enough"));
  await assert.rejects(a, { message: "enough" });
  const [socket] = w.sockets;
  socket.open();
  assert.deepEqual(socket.said, [{ subscribe: "b" }, { unsubscribe: "a" }]);
  socket.say({ subscribed: "b" });
  socket.say(done("b", 1));
  assert.equal(await b, 1);
});

test("a connection of its own, for a channel heard twice, other tokens, more than 16", async () => {
  const w = browser();
  w.ringback("/wait/a");
  w.ringback("/wait/a");
  w.ringback("/wait/b", { shared: false });
  w.ringback("/wait/c", { token: "t" });
  for (let i = 0; i < 16; i++) w.ringback(`/wait/n${i}`);
  await w.tick();
  assert.deepEqual(w.sockets.map(({ url }) => new URL(url).pathname.split(",").length), [16, 2, 1, 1]);
  assert.match(w.sockets[3].url, /\/wait\/c\?token=t$/);
});

test("comes back where it was, with a growing delay", async () => {
  const w = browser();
  const got = w.ringback("/wait/a,b");
  (await w.opened()).say({ id: "5-1", channel: "b", event: "retrying" });
  const delays = [];
  for (let i = 0; i < 3; i++) {
    w.sockets.at(-1).end(1006);
    delays.push(...await w.tick());
    w.sockets.at(-1).open();
  }
  assert.deepEqual(delays, [250, 500, 1000]);
  assert.match(w.sockets.at(-1).url, /since=-%2C5-1$/);
  w.now += 60000;
  w.sockets.at(-1).end(1001);
  assert.deepEqual(await w.tick(), [250]);
  w.sockets.at(-1).say({ ...done("a", 0), id: "6-0" });
  assert.equal(await got, 0);
});

test("does not wait when the network is said to be back", async () => {
  const w = browser();
  w.ringback("/wait/a");
  (await w.opened()).end(1006);
  w.document.hidden = true;
  w.handlers.visibilitychange();
  await settle();
  assert.equal(w.sockets.length, 1);
  w.document.hidden = false;
  w.handlers.online();
  await settle();
  assert.equal(w.sockets.length, 2);
  assert.deepEqual(await w.tick(), []);
});

test("@session is known by its own name", async () => {
  const w = browser();
  w.ringback("/wait/x,@session");
  const socket = await w.opened();
  socket.say({ id: "5-1", channel: "session:abc", event: "started" });
  socket.end(1006);
  await w.tick();
  assert.match(w.sockets[1].url, /since=-%2C5-1$/);
});

test("what still comes of a channel that was left is not taken for @session's", async () => {
  const w = browser({ websocket: false });
  const body = stream(), heard = [];
  w.answers.push(body.answer);
  const control = new AbortController();
  const left = w.ringback("/wait/a", { signal: control.signal });
  const got = w.ringback("/wait/@session", { onEvent: ({ channel }) => heard.push(channel) });
  await w.tick();
  control.abort(new Error("enough"));
  await assert.rejects(left, { message: "enough" });
  body.give(`data: ${JSON.stringify(done("a", "a's"))}\n\n`);
  body.give(`data: ${JSON.stringify(done("session:abc", "mine"))}\n\n`);
  assert.equal(await got, "mine");
  assert.deepEqual(heard, ["session:abc"]);
});

test("a channel that is left and waited for again tells what is kept once", async () => {
  const w = browser();
  const events = [];
  w.ringback("/wait/other", { onEvent: (event) => events.push(event.event) });
  const socket = await w.opened();
  const control = new AbortController();
  w.ringback("/wait/a", { signal: control.signal }).catch(() => {});
  control.abort();
  w.ringback("/wait/a", { onEvent: (event) => events.push(event.event) });
  assert.deepEqual(socket.said, [{ subscribe: "a" }, { unsubscribe: "a" }, { subscribe: "a" }]);
  socket.say({ subscribed: "a" });
  socket.say({ id: "1-0", channel: "a", event: "started" });
  socket.say({ unsubscribed: "a" });
  socket.say({ subscribed: "a" });
  socket.say({ id: "1-0", channel: "a", event: "started" });
  assert.deepEqual(events, ["started"]);
});

test("an app may publish events with the names of the notifier's own", async () => {
  const w = browser();
  const events = [];
  w.ringback("/wait/c", { token: () => "t", onEvent: ({ event }) => events.push(event) });
  const socket = await w.opened();
  for (const event of ["expiring", "expired", "revoked"])
    socket.say({ id: "1-0", channel: "c", event });
  await settle();
  assert.deepEqual(events, ["expiring", "expired", "revoked"]);
  assert.deepEqual(socket.said, []);
});

test("a gap moves the cursor, a raw message does not", async () => {
  const w = browser();
  const events = [];
  w.ringback("/wait/c", { onEvent: (event) => events.push(event) });
  const socket = await w.opened();
  socket.say({ id: "9-0", channel: "c", event: "gap", since: "1-0" });
  for (const raw of ["hello", "[1]", "null", '{"error":{"channel":"c"}}']) socket.say(raw);
  socket.end(1006);
  await w.tick();
  assert.match(w.sockets[1].url, /since=9-0$/);
  assert.deepEqual(events.slice(1).map((event) => [event.event, JSON.stringify(event.data)]),
    [["message", '"hello"'], ["message", "[1]"], ["message", "null"],
      ["message", '{"error":{"channel":"c"}}']]);
});

test("where no WebSocket opens it reads server-sent events", async () => {
  const w = browser();
  const body = stream(), again = stream();
  w.answers.push(body.answer, again.answer);
  const got = w.ringback("/wait/c");
  await w.tick();
  w.sockets[0].end(1006);
  await settle();
  assert.deepEqual(w.asked, ["https://page.example/wait/c"]);
  assert.equal(w.options.headers.Accept, "text/event-stream");
  body.give("retry: 2000\n\n:\n\nid: 1-0\nevent: started\ndata: {\"id\":\"1-0\",\"chan");
  body.give("nel\":\"c\",\"event\":\"started\"}\n");
  body.give("\n");
  body.end();
  await settle();
  await w.tick();
  assert.equal(w.asked[1], "https://page.example/wait/c?since=1-0");
  again.give(`id: 2-0\nevent: done\ndata: ${JSON.stringify(done("c", "\u2028 ü"))}\n\n`);
  assert.equal(await got, "\u2028 ü");
  assert.equal(w.sockets.length, 1);
});

test("another channel on a stream asks anew for all", async () => {
  const w = browser({ websocket: false });
  const a = w.ringback("/wait/a");
  await w.tick();
  const b = w.ringback("/wait/b");
  w.answers.push(json(403, { detail: "Not b." }), json(200, {}));
  await w.tick();
  assert.equal(w.asked[1], "https://page.example/wait/a,b");
  await w.tick();
  assert.deepEqual(w.asked.slice(2).sort(), ["https://page.example/wait/a", "https://page.example/wait/b"]);
  a.catch(() => {});
  b.catch(() => {});
});

test("where a proxy holds streams up it asks by long-poll", async () => {
  const w = browser({ websocket: false });
  w.answers.push(stream().answer, json(200, { events: [{ id: "1-0", channel: "c", event: "started" }] }),
    json(204), json(503, {}), json(200, { events: [done("c", 7)] }));
  const got = w.ringback("/wait/c");
  await w.tick();
  assert.deepEqual(await w.tick(), [10000]);
  w.now += 20000;
  await settle();
  await w.tick();
  await w.tick();
  assert.equal(await got, 7);
  assert.deepEqual(w.asked.map((url) => new URL(url).search),
    ["", "", "?since=1-0", "?since=1-0", "?since=1-0"]);
  assert.equal(w.options.headers.Accept, "application/json");
});

test("a network that is away is asked again from the first way on", async () => {
  const w = browser();
  w.answers.push(() => Promise.reject(new TypeError("network")));
  w.ringback("/wait/c");
  await w.tick();
  w.sockets[0].end(1006);
  await settle();
  assert.deepEqual((await w.tick()).filter((ms) => ms < 10000), [250]);
  assert.equal(w.sockets.length, 2);
});

test("a socket that is cut again and again gives way", async () => {
  const w = browser();
  w.ringback("/wait/c");
  for (let i = 0; i < 5; i++) (await w.opened()).end(1006);
  await settle();
  assert.equal(w.asked.length, 1);
});

test("no way is passed over when several sockets don't open", async () => {
  const w = browser();
  w.ringback("/wait/a");
  w.ringback("/wait/b", { shared: false });
  await w.tick();
  w.sockets[0].end(1006);
  w.sockets[1].end(1006);
  await settle();
  assert.equal(w.asked.length, 2);
  assert.equal(w.options.headers.Accept, "text/event-stream");
});

test("while the notifier is away behind a proxy no way is given up", async () => {
  const w = browser();
  w.answers.push(json(502, {}));
  w.ringback("/wait/c");
  (await w.opened()).end(1001);
  await w.tick();
  w.sockets[1].end(1006);
  await settle();
  assert.equal(w.asked.length, 1);
  await w.tick();
  assert.equal(w.sockets.length, 3);
});

test("a socket that lasted makes up for those before it", async () => {
  const w = browser();
  w.ringback("/wait/c");
  for (let i = 0; i < 4; i++) (await w.opened()).end(1006);
  await w.opened();
  w.now += 60000;
  w.sockets.at(-1).end(1001);
  await w.tick();
  assert.equal(w.asked.length, 0);
  assert.equal(w.sockets.length, 6);
});

test("a refusal is told, not repeated", async () => {
  const w = browser();
  w.answers.push(json(403, { title: "Forbidden", detail: "Not yours." }));
  const got = w.ringback("/wait/c");
  await w.tick();
  w.sockets[0].end(1006);
  await assert.rejects(got, { code: "refused", status: 403, message: "Not yours." });
  const other = browser();
  const closed = other.ringback("/wait/c");
  (await other.opened()).end(1008, "token expired");
  await assert.rejects(closed, { code: "refused", message: "token expired" });
  assert.deepEqual(await other.tick(), []);
});

test("one channel's refusal on a shared socket is its own", async () => {
  const w = browser();
  const good = w.ringback("/wait/good");
  const socket = await w.opened();
  const bad = w.ringback("/wait/bad");
  socket.say({ error: { code: "forbidden", message: "Not yours.", channel: "bad" } });
  await assert.rejects(bad, { code: "refused", message: "Not yours." });
  assert.deepEqual(socket.said, [{ subscribe: "bad" }]);
  const lost = w.ringback("/wait/lost");
  socket.say({ subscribed: "lost" });
  socket.say({ event: "revoked", channel: "lost" });
  await assert.rejects(lost, { code: "refused", status: 403 });
  socket.say(done("good", 1));
  assert.equal(await good, 1);
});

test("tokens are made for each connection and before one ends", async () => {
  const w = browser();
  let made = 0;
  const got = w.ringback("/wait/c", { token: async () => `t${++made}` });
  const socket = await w.opened();
  assert.match(socket.url, /token=t1$/);
  socket.say({ event: "expiring", at: 1, expires: 2 });
  await settle();
  assert.deepEqual(socket.said, [{ token: "t2" }]);
  socket.say({ token: "accepted" });
  socket.say({ event: "expired" });
  socket.end(1008, "token expired");
  await w.tick();
  assert.match(w.sockets[1].url, /token=t3$/);
  w.sockets[1].end(1008, "again");
  await assert.rejects(got, { code: "refused", message: "again" });
  const none = assert.rejects(
    w.ringback("/wait/d", { token: () => { throw new Error("signed out"); } }), { message: "signed out" });
  await w.tick();
  await none;
});

test("a result that lies beside its channel is fetched", async () => {
  const w = browser();
  const got = w.ringback("/rb/wait/c?x=1", { token: "t" });
  w.answers.push(json(200, { large: true }), json(404, {}));
  (await w.opened()).say({ id: "1-0", channel: "c", event: "done", job: "j1", link: "/wait/c?result=j1" });
  assert.deepEqual({ ...(await got) }, { large: true });
  assert.equal(w.asked[0], "https://page.example/rb/wait/c?x=1&result=j1&token=t");
  const gone = w.ringback("/rb/wait/c");
  (await w.opened()).say({ id: "1-0", channel: "c", event: "done", job: "j1", link: "/wait/c?result=j1" });
  await assert.rejects(gone, { code: "refused", status: 404 });
});

test("events come one after the other until the loop is left", async () => {
  const w = browser();
  const events = w.ringback.events("/wait/chat");
  const first = events.next();
  const socket = await w.opened();
  socket.say({ id: "1-0", channel: "chat", event: "message", data: 1 });
  socket.say({ id: "2-0", channel: "chat", event: "message", data: 2 });
  assert.equal((await first).value.data, 1);
  assert.equal((await events.next()).value.data, 2);
  await events.return();
  assert.equal(socket.closed, 1000);
  const control = new AbortController();
  const aborted = w.ringback.events("/wait/chat", { signal: control.signal });
  const next = aborted.next();
  await w.opened();
  control.abort(new Error("enough"));
  await assert.rejects(next, { message: "enough" });
});

test("an AbortSignal ends it", async () => {
  const w = browser();
  const control = new AbortController();
  const got = w.ringback("/wait/c", { signal: control.signal });
  const socket = await w.opened();
  control.abort(new Error("enough"));
  await assert.rejects(got, { message: "enough" });
  assert.equal(socket.closed, 1000);
  await assert.rejects(w.ringback("/wait/c", { signal: control.signal }), { message: "enough" });
  assert.deepEqual(await w.tick(), []);
  assert.equal(w.sockets.length, 1);
  const waiting = browser();
  const later = new AbortController();
  const second = waiting.ringback("/wait/c", { signal: later.signal });
  (await waiting.opened()).end(1006);
  later.abort();
  await assert.rejects(second, { name: "AbortError" });
  assert.deepEqual(await waiting.tick(), []);
});

test("a script that comes late finds the elements too", async () => {
  const w = browser({ readyState: "interactive" });
  const added = [];
  w.document.querySelector = () => ({});
  w.document.head = { append: ({ src }) => added.push(String(src)) };
  w.document.createElement = () => ({});
  await w.tick();
  assert.deepEqual(added, ["https://n.example/rb/ring-back.js"]);
});

test("what onEvent throws is not swallowed", async () => {
  const w = browser();
  const got = w.ringback("/wait/c", { onEvent: () => { throw new Error("mine"); } });
  (await w.opened()).say({ id: "1-0", channel: "c", event: "started" });
  await assert.rejects(got, { message: "mine" });
});

test("it is small, and a module of both kinds", async () => {
  assert.ok(require("node:zlib").gzipSync(source).length <= 4096);
  assert.equal(typeof require(`${web}/ringback.js`).wait, "function");
  const module = await import(`${web}/ringback.mjs`);
  assert.equal(typeof module.default, "function");
  assert.equal(module.events, module.default.events);
  assert.ok(new module.RingbackError("x", { code: "refused" }) instanceof Error);
});
