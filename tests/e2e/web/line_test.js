// ringback.js: many waits on one connection, their cursors, tokens and refusals.
"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { browser, json, settle, done, stream } = require("./browser.js");

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
