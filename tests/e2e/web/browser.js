// Stand-ins for WebSocket, fetch and the clock: nothing is waited for.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");

const web = `${__dirname}/../../../notifier/web`;
const source = fs.readFileSync(`${web}/ringback.js`, "utf8");

// A browser as far as the script can tell, and `more` of notifier/web/ behind it. sockets: all that were opened; timers: what was
// set and not cleared, run by hand; asked: all fetches; answers: functions that answer them.
function browser({
  script = "https://n.example/rb/ringback.js", websocket = true, readyState = "loading", more = [],
} = {}) {
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
    URL, AbortController, Promise, TextDecoder, crypto: globalThis.crypto ?? require("node:crypto").webcrypto,
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
  for (const name of more) vm.runInContext(fs.readFileSync(`${web}/${name}`, "utf8"), context);
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

module.exports = { web, source, browser, json, settle, done, stream };
