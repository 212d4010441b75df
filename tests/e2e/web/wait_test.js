// ringback.js: what a wait comes to, and what it tells on the way.
"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { web, source, browser, json, done } = require("./browser.js");

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

test("what onEvent throws is not swallowed", async () => {
  const w = browser();
  const got = w.ringback("/wait/c", { onEvent: () => { throw new Error("mine"); } });
  (await w.opened()).say({ id: "1-0", channel: "c", event: "started" });
  await assert.rejects(got, { message: "mine" });
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

test("it is small, and a module of both kinds", async () => {
  assert.ok(require("node:zlib").gzipSync(source).length <= 4096);
  assert.equal(typeof require(`${web}/ringback.js`).wait, "function");
  const module = await import(`${web}/ringback.mjs`);
  assert.equal(typeof module.default, "function");
  assert.equal(module.events, module.default.events);
  assert.ok(new module.RingbackError("x", { code: "refused" }) instanceof Error);
});
