// ringback-enqueue.js: jobs that the page asks for, and what becomes of them when the way breaks.
"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { browser, json, settle } = require("./browser.js");

const ME = "me:abcdefghijklmnopqrstuv";
const page = (options) => browser({ more: ["ringback-enqueue.js"], ...options });
const plain = (value) => JSON.parse(JSON.stringify(value)); // of the page's own realm no more
const asks = (socket) => plain(socket.said).filter(({ enqueue }) => enqueue);

// Answers what was asked last; gives the job's id.
function queued(socket, { id, channel = ME } = {}) {
  const { enqueue, ref } = asks(socket).at(-1);
  const enqueued = { id: id || enqueue.id, channel };
  socket.say({ enqueued, ref });
  return enqueued.id;
}

test("a job is asked for and its result resolves", async () => {
  const w = page();
  const events = [];
  const got = w.ringback.enqueue({ service: "quote", params: { symbol: "X" } },
    { token: "t", onEvent: (event) => events.push(plain(event)) });
  const socket = await w.opened();
  assert.equal(socket.url, "wss://n.example/rb/wait/@me?token=t");
  const [first, { enqueue, ref }] = plain(socket.said);
  assert.deepEqual(first, { subscribe: "@me" });
  assert.match(enqueue.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(enqueue, { service: "quote", params: { symbol: "X" }, id: enqueue.id });
  socket.say({ subscribed: ME });
  socket.say({ enqueued: { id: enqueue.id, channel: ME }, ref });
  socket.say({ id: "1-0", channel: ME, event: "started", job: enqueue.id });
  socket.say({ id: "1-1", channel: ME, event: "done", job: "another", data: 1 });
  socket.say({ id: "2-0", channel: ME, event: "done", job: enqueue.id, data: { price: 1 } });
  assert.deepEqual(plain(await got), { price: 1 });
  assert.deepEqual(events[0], { event: "enqueued", job: enqueue.id, channel: ME });
  assert.deepEqual(events.slice(1).map(({ event }) => event), ["started", "done"]);
  assert.equal(socket.closed, 1000);
  assert.deepEqual(await w.tick(), []);
});

test("many jobs go over one connection, each to its own answer", async () => {
  const w = page();
  const one = w.ringback.enqueue({ service: "a", id: "A" });
  const socket = await w.opened();
  const two = w.ringback.enqueue({ service: "b", id: "B", channel: "@me" });
  assert.deepEqual(asks(socket).map(({ enqueue }) => enqueue.id), ["A", "B"]);
  const [first, second] = asks(socket);
  socket.say({ enqueued: { id: "B", channel: ME }, ref: second.ref });
  socket.say({ error: { code: "not_allowed", message: "Not that.", id: "A" }, ref: first.ref });
  await assert.rejects(one, { code: "not_allowed", message: "Not that." });
  assert.equal(socket.closed, null);
  socket.say({ id: "1-0", channel: ME, event: "failed", job: "B",
    error: { code: "http_status", status: 503, message: "No." } });
  await assert.rejects(two, (error) => error instanceof w.ringback.Error && error.code === "http_status" &&
    error.status === 503 && error.event.id === "1-0");
  assert.equal(w.sockets.length, 1);
  assert.equal(socket.closed, 1000);
});

test("what was not answered is asked again, on the channel that it had", async () => {
  const w = page();
  const lost = w.ringback.enqueue({ service: "a", id: "A" });
  const known = w.ringback.enqueue({ service: "b", id: "B" });
  const socket = await w.opened();
  socket.say({ subscribed: ME });
  queued(socket);
  socket.say({ id: "5-1", channel: ME, event: "started", job: "B" });
  socket.end(1006);
  const again = await w.opened();
  assert.equal(again.url, `wss://n.example/rb/wait/${ME}?since=5-1`);
  assert.deepEqual(plain(again.said).map(({ enqueue }) => enqueue?.id), ["A"]);
  queued(again);
  again.say({ id: "6-0", channel: ME, event: "done", job: "B", data: 2 });
  again.say({ id: "6-1", channel: ME, event: "done", job: "A", data: 1 });
  assert.deepEqual([await lost, await known], [1, 2]);
});

test("a job for another channel goes without an id, once", async () => {
  const w = page();
  const job = { service: "a", id: "A", channel: "order:1" };
  const kept = w.ringback.enqueue(job), lost = w.ringback.enqueue({ ...job, channel: "order:2" });
  const socket = await w.opened();
  const [first] = asks(socket);
  assert.deepEqual(first.enqueue, job); // the notifier says that an id does not go with it
  socket.say({ enqueued: { id: "made", channel: "order:1" }, ref: first.ref });
  await w.tick();
  socket.end(1006);
  await assert.rejects(lost, { code: "unavailable" });
  const heard = w.sockets[1];
  assert.equal(heard.url, "wss://n.example/rb/wait/order:1");
  heard.open();
  heard.say({ id: "1-0", channel: "order:1", event: "done", job: "other", data: 1 });
  heard.say({ id: "2-0", channel: "order:1", event: "done", job: "made", data: 2 });
  assert.equal(await kept, 2);
});

test("where no WebSocket opens it is told, and what is queued is heard of otherwise", async () => {
  const w = page();
  const none = assert.rejects(page({ websocket: false }).ringback.enqueue({ service: "a" }), { code: "unavailable" });
  const events = [];
  const first = w.ringback.enqueue({ service: "a" }, { onEvent: ({ event }) => events.push(event) });
  const socket = await w.opened();
  socket.say({ subscribed: ME });
  const id = queued(socket);
  socket.say({ id: "3-0", channel: ME, event: "started", job: id });
  const second = assert.rejects(w.ringback.enqueue({ service: "b" }), { code: "unavailable" });
  for (let i = 0; i < 6; i++) {
    w.sockets.at(-1).end(1006);
    await w.tick();
  }
  await second;
  const heard = w.sockets.at(-1);
  assert.equal(heard.url, `wss://n.example/rb/wait/${ME}?since=3-0`);
  heard.open();
  heard.say({ id: "4-0", channel: ME, event: "done", job: "other" });
  heard.say({ id: "5-0", channel: ME, event: "done", job: id, data: 7 });
  assert.equal(await first, 7);
  assert.deepEqual(events, ["enqueued", "started", "done"]);
  await none;
});

test("a large result is fetched", async () => {
  const w = page();
  const events = [];
  const got = w.ringback.enqueue({ service: "a", id: "A" }, { token: "t", onEvent: ({ event }) => events.push(event) });
  const socket = await w.opened();
  socket.say({ subscribed: ME });
  queued(socket);
  const event = { id: "2-0", channel: ME, event: "done", job: "A", link: `/wait/${ME}?result=A` };
  socket.say(event);
  w.answers.push(json(200, { large: true }));
  (await w.opened()).say(event);
  assert.deepEqual(plain(await got), { large: true });
  assert.equal(w.asked[0], `https://n.example/rb/wait/${ME}?result=A&token=t`);
  assert.deepEqual(events, ["enqueued", "done"]);
});

test("what came too fast is asked again after a lull", async () => {
  const w = page();
  const got = w.ringback.enqueue({ service: "a", id: "A" });
  const socket = await w.opened();
  socket.say({ error: { code: "too_fast", message: "Slower." } });
  assert.deepEqual(await w.tick(), [1000]);
  assert.deepEqual(asks(socket).map(({ enqueue }) => enqueue.id), ["A", "A"]);
  queued(socket);
  socket.say({ id: "1-0", channel: ME, event: "done", job: "A", data: 1 });
  assert.equal(await got, 1);
});

test("tokens are made for each connection, and a refusal is told", async () => {
  const w = page();
  let made = 0;
  const got = w.ringback.enqueue({ service: "a" }, { token: async () => `t${++made}` });
  const socket = await w.opened();
  socket.say({ event: "expiring", at: 1, expires: 2 });
  await settle();
  assert.deepEqual(plain(socket.said.at(-1)), { token: "t2" });
  socket.end(1008, "token expired");
  await w.tick();
  assert.match(w.sockets[1].url, /token=t3$/);
  w.sockets[1].end(1008, "again");
  await assert.rejects(got, { code: "refused", message: "again" });
  const signedOut = w.ringback.enqueue({ service: "a" }, { token: () => { throw new Error("signed out"); } });
  await assert.rejects(signedOut, { message: "signed out" });
  const revoked = w.ringback.enqueue({ service: "a" });
  const other = await w.opened();
  queued(other);
  other.say({ event: "revoked", channel: ME });
  await assert.rejects(revoked, { code: "refused" });
  assert.deepEqual(await w.tick(), []);
});

test("an AbortSignal ends the waiting, what onEvent throws is told", async () => {
  const w = page();
  const control = new AbortController();
  const got = w.ringback.enqueue({ service: "a" }, { signal: control.signal });
  const socket = await w.opened();
  control.abort(new Error("enough"));
  await assert.rejects(got, { message: "enough" });
  assert.equal(socket.closed, 1000);
  await assert.rejects(w.ringback.enqueue({ service: "a" }, { signal: control.signal }), { message: "enough" });
  const thrown = w.ringback.enqueue({ service: "a" }, { onEvent: () => { throw new Error("mine"); } });
  queued(await w.opened());
  await assert.rejects(thrown, { message: "mine" });
  await assert.rejects(w.ringback.enqueue({ service: "a" }, { notifier: "no address" }), /URL/);
  assert.equal(w.sockets.length, 2);
});
