// Hears channels and waits for results, as README.md tells.
(function (root) {
"use strict";
if (root.ringback) return; // as script and module

const BASE = 500, MOST = 30000; // ms between attempts: random up to BASE · 2ⁿ
const PATIENCE = 10000; // ms without a byte: a proxy holds the stream up
const { document, location } = root;
const page = location?.href;
const script = document?.currentScript;
const lines = new Set();
let way = 0; // WebSocket, events or long-poll: the first not blocked

class RingbackError extends Error {
  constructor(message, fields) {
    super(message);
    Object.assign(this, fields);
  }
}

const refusal = (message = "The notifier refused.", status) =>
  new RingbackError(message, { code: "refused", status });

async function address({ base, token }, names, fields) {
  const to = new URL(base.replace("*", names));
  const all = { ...fields, token: typeof token === "function" ? await token() : token };
  for (const [name, value] of Object.entries(all))
    if (value) to.searchParams.set(name, value);
  return to;
}

// One connection; heard: channel → {since, take, fail}.
class Line {
  constructor(key) {
    [this.base, this.token, this.credentials] = this.key = key;
    this.heard = new Map();
    this.attempts = 0;
    this.stop = () => {};
    lines.add(this);
  }

  add(channel, hearer) {
    hearer.line = this;
    this.heard.set(channel, hearer);
    if (this.say) this.subscribe(channel);
    else if (!this.timer && !this.asked) this.later(0); // else it is asked for when it opens
  }

  remove(channel) {
    if (!this.heard.delete(channel)) return;
    if (!this.heard.size) this.close();
    else if (this.say) this.say({ unsubscribe: channel });
  }

  close() {
    const all = [...this.heard];
    this.halt();
    lines.delete(this);
    this.heard.clear();
    return all;
  }

  halt() {
    if (Date.now() - this.began > MOST) this.attempts = 0;
    clearTimeout(this.timer);
    this.timer = this.say = this.asked = null;
    this.turn = {};
    this.stop();
    this.stop = () => {};
  }

  lose(channel, error) {
    const hearer = this.heard.get(channel);
    this.heard.delete(channel);
    if (!this.heard.size) this.close();
    hearer?.fail(error);
  }

  refuse(error) {
    way = 0;
    if (this.token && !this.stale) {
      this.stale = true; // once more, with a new token
      return this.again();
    }
    // A no to several may be for one: each asks for itself.
    const all = this.close();
    for (const [channel, hearer] of all)
      if (all.length === 1) hearer.fail(error);
      else new Line([...this.key]).add(channel, hearer);
  }

  subscribe(channel) {
    this.asked.push(channel);
    this.say({ subscribe: channel, since: this.heard.get(channel).since });
  }

  later(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.listen(), delay);
  }

  again() {
    this.halt();
    this.later(Math.random() * Math.min(MOST, BASE * 2 ** this.attempts++));
  }

  take(text) {
    let said = text; // an app may publish anything
    try { said = JSON.parse(text); } catch (_) {}
    const { event, id, channel, error, subscribed, unsubscribed, token } = said || {};
    this.attempts = this.stale = 0;
    const own = !id && event; // the notifier's, not an app's of that name
    if (own === "expiring") return this.renew();
    if (own === "expired") return;
    if (!event && this.asked) {
      const at = this.asked.indexOf(error ? error.channel : subscribed);
      if (at >= 0) this.asked.splice(at, 1);
      if (subscribed || unsubscribed || token) return;
      if (error && at >= 0) return this.lose(error.channel, refusal(error.message));
    }
    const name = this.heard.has(channel) ? channel : /^session:/.test(channel) && "@session";
    if (this.asked?.includes(name)) return; // of a wait before
    if (own === "revoked") return this.lose(name, refusal("The channel was taken back.", 403));
    for (const [heard, hearer] of [...this.heard]) {
      if (event && channel && heard !== name) continue;
      if (id) hearer.since = id;
      hearer.take(event ? said : { event: "message", data: said });
    }
  }

  async renew() {
    const { say, token } = this;
    if (typeof token !== "function") return;
    if (!say) return this.listen();
    try { say({ token: await token() }); } catch (_) {} // asked again at the end
  }

  async listen() {
    this.halt();
    this.began = Date.now();
    const { turn, heard } = this, names = [...heard.keys()];
    const since = names.map((channel) => heard.get(channel).since || "-").join();
    const over = () => this.turn !== turn;
    let to;
    way ||= +!root.WebSocket;
    try {
      to = await address(this, names, { since: since.replace(/^[-,]+$/, "") });
    } catch (error) {
      if (!over()) this.close().forEach(([, hearer]) => hearer.fail(error));
    }
    if (over()) return;
    if (way) this.fetch(to, way === 1, over);
    else this.socket(to, names);
  }

  blocked(next) {
    way = next;
    this.listen();
  }

  socket(to, names) {
    to.protocol = to.protocol.replace("http", "ws");
    const socket = new root.WebSocket(to);
    this.asked = [];
    this.stop = () => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    };
    socket.onopen = () => {
      this.say = (command) => socket.send(JSON.stringify(command));
      for (const [channel] of this.heard) if (!names.includes(channel)) this.subscribe(channel);
      for (const name of names) if (!this.heard.has(name)) this.say({ unsubscribe: name });
    };
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = ({ code, reason }) => {
      const { say } = this;
      this.halt();
      if (code === 1008) this.refuse(refusal(reason));
      else if (say && this.attempts < 4) this.again();
      else this.blocked(1); // not opened, or cut again and again
    };
  }

  async fetch(to, sse, over) {
    const control = new AbortController();
    const held = sse && setTimeout(() => control.abort(), PATIENCE);
    const alive = () => clearTimeout(held);
    this.stop = () => {
      alive();
      control.abort();
    };
    try {
      const answer = await root.fetch(to, {
        signal: control.signal,
        credentials: this.credentials,
        headers: { Accept: sse ? "text/event-stream" : "application/json" },
      });
      const { status } = answer;
      if (over()) return;
      if (status >= 400 && status < 500 && ![408, 425, 429].includes(status)) {
        const { detail, title } = await answer.json().catch(() => ({}));
        return over() || this.refuse(refusal(detail || title, status));
      }
      if (sse && status === 200) {
        await this.read(answer.body.getReader(), alive, over);
      } else if (status === 200) {
        for (const event of (await answer.json()).events)
          if (!over()) this.take(JSON.stringify(event));
        if (!over()) return this.listen();
      } else if (sse) way = 0; // while the notifier is away
      if (over()) return;
      if (!sse && status === 204 && Date.now() - this.began > BASE) return this.listen();
    } catch (_) {
      if (over()) return;
      if (sse && control.signal.aborted) return this.blocked(2);
      way = 0; // the network is away
    }
    this.again();
  }

  async read(reader, alive, over) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || over()) return;
      alive();
      const got = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = got.pop();
      for (const block of got) {
        const data = block.split("\n").filter((line) => line.startsWith("data: "));
        if (data[0] && !over()) this.take(data.map((line) => line.slice(6)).join("\n"));
      }
    }
  }
}

// The network may be back.
function wake() {
  if (document?.hidden) return;
  way = 0;
  for (const line of lines) if (line.timer) line.listen();
}

ringback.hear = (where, options, take, fail) => {
  const { signal, shared = true, token, credentials } = options;
  const target = where.includes("/") ? new URL(where, page)
                                     : new URL("wait/" + where, ringback.home);
  const at = target.pathname.lastIndexOf("/") + 1;
  target.searchParams.delete("until");
  const names = decodeURIComponent(target.pathname.slice(at)).split(",");
  const since = (options.since || "").split(",");
  const base = target.origin + target.pathname.slice(0, at) + "*" + target.search;
  const key = [base, token, credentials, shared || {}];
  let over = false;

  function end() {
    if (over) return;
    over = true;
    signal?.removeEventListener("abort", abort);
    names.forEach((name, i) => hearers[i].line?.remove(name));
  }

  function failed(error) {
    if (over) return;
    end();
    fail(error);
  }

  const abort = () => failed(signal.reason);
  const hearers = names.map((_, i) => ({
    since: since[i] && since[i] !== "-" ? since[i] : undefined,
    take: (event) => over || take(event, { base, token, credentials }),
    fail: failed,
  }));
  if (signal?.aborted) {
    abort();
    return end;
  }
  signal?.addEventListener("abort", abort);
  const line = [...lines].find((line) => line.key.every((part, i) => part === key[i]) &&
    line.heard.size + names.length <= 16 &&
    !names.some((name) => line.heard.has(name))) || new Line(key);
  names.forEach((name, i) => line.add(name, hearers[i]));
  return end;
};

// A large result lies beside its channel.
async function result({ channel, job, data, link }, line) {
  if (!link) return data;
  const answer = await root.fetch(await address(line, channel, { result: job }), line);
  if (!answer.ok) throw refusal("The result is gone.", answer.status);
  return answer.json();
}

function ringback(where, options = {}) {
  return new Promise((resolve, reject) => {
    const { onEvent, job } = options;
    const stop = ringback.hear(where, options, (event, from) => {
      try {
        onEvent?.(event);
      } catch (error) {
        stop();
        return reject(error);
      }
      if (job && event.job !== job) return;
      if (event.event === "done") {
        stop();
        resolve(result(event, from));
      } else if (event.event === "failed") {
        stop();
        const { message, code, status } = event.error || {};
        reject(new RingbackError(message || "The job failed.", { code, status, event }));
      }
    }, reject);
  });
}

// Every event, until the loop is left.
ringback.events = async function* (where, options = {}) {
  const queue = [];
  let ring = () => {}, failure;
  const stop = ringback.hear(where, options, (event) => ring(queue.push(event)),
    (error) => ring(failure = { error }));
  try {
    for (;;) {
      while (queue.length) yield queue.shift();
      if (failure) throw failure.error;
      await new Promise((resolve) => { ring = resolve; });
    }
  } finally {
    stop();
  }
};

Object.assign(ringback, { wait: ringback, wake, Error: RingbackError, home: script?.src || page });
root.ringback = ringback;
if (typeof module === "object" && module.exports) module.exports = ringback;

if (document) {
  root.addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  const load = () => {
    if (!document.querySelector("ring-back:not(:defined)")) return;
    const made = document.createElement("script");
    made.src = new URL("ring-back.js", ringback.home);
    document.head.append(made);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", load);
  else setTimeout(load);
}
})(globalThis);
