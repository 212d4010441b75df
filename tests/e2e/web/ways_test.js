// ringback.js: how it gets through, and how it comes back.
"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { browser, json, settle, done, stream } = require("./browser.js");

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
