// Jobs that the page asks for, where notifier.enqueue allows it: load it behind ringback.js.
// All go over one WebSocket, and their events come back on its private channel.
(function (root) {
"use strict";

const { ringback, crypto } = root;
const BASE = 500, MOST = 30000; // ms between attempts: random up to BASE · 2ⁿ
const TRIES = 5; // in a row without a word from the notifier, then no WebSocket gets through
const LULL = 1000; // ms until the notifier takes commands again that came too fast
const BLOCKED = "No WebSocket could be opened.";
const desks = new Set();
let last = 0;

const complaint = (code, message) => new ringback.Error(message, { code });

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One connection and its private channel; asked: ref → job, until it has ended.
class Desk {
  constructor(key) {
    [this.base, this.token, this.credentials] = this.key = key;
    Object.assign(this, { me: "@me", asked: new Map(), attempts: 0 });
    desks.add(this);
  }

  add(one) {
    this.asked.set(one.ref, one);
    if (this.say) this.ask(one);
    else if (!this.turn) this.connect(); // else it is asked for when it opens
  }

  ask({ job, ref }) {
    this.say({ enqueue: job, ref });
  }

  askAll() {
    for (const one of this.asked.values()) if (!one.id) this.ask(one);
  }

  end(one) {
    if (!this.asked.delete(one.ref)) return false;
    if (!this.asked.size) this.close();
    return true;
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.lull);
    this.say = this.turn = null;
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(1000);
    this.socket = null;
  }

  failAll(error) {
    for (const one of [...this.asked.values()]) if (this.end(one)) one.reject(error);
  }

  again() {
    this.close();
    const delay = Math.random() * Math.min(MOST, BASE * 2 ** this.attempts++);
    this.turn = {};
    this.timer = setTimeout(() => this.connect(), delay);
  }

  async connect() {
    const turn = (this.turn = {}), { base, token } = this;
    try {
      if (!root.WebSocket) throw complaint("unavailable", BLOCKED);
      const to = new URL(base.replace("*", this.me));
      const fields = { since: this.since, token: typeof token === "function" ? await token() : token };
      for (const [name, value] of Object.entries(fields)) if (value) to.searchParams.set(name, value);
      to.protocol = to.protocol.replace("http", "ws");
      if (this.turn === turn) this.listen(new root.WebSocket(to));
    } catch (error) {
      if (this.turn === turn) this.failAll(error);
    }
  }

  listen(socket) {
    this.socket = socket;
    socket.onopen = () => {
      this.say = (command) => socket.send(JSON.stringify(command));
      if (this.me === "@me") this.say({ subscribe: "@me" }); // who comes back needs its name
      this.askAll();
    };
    socket.onmessage = ({ data }) => {
      this.attempts = this.stale = 0;
      let said;
      try { said = JSON.parse(data); } catch (_) {} // an app may publish anything
      if (said) this.take(said);
    };
    socket.onclose = ({ code, reason }) => this.lost(code, reason);
  }

  lost(code, reason) {
    this.close();
    // A second answer to what names its own channel would be a second job.
    for (const one of [...this.asked.values()])
      if (!one.id && one.job.channel && this.end(one))
        one.reject(complaint("unavailable", "The connection was lost: the job may be queued."));
    if (code === 1008 && (typeof this.token !== "function" || this.stale))
      return this.failAll(complaint("refused", reason || "The notifier refused."));
    this.stale = code === 1008; // once more, with a new token
    if (this.attempts >= TRIES) this.giveUp();
    else if (this.asked.size) this.again();
  }

  // What is queued is heard of in other ways too.
  giveUp() {
    this.attempts = 0;
    for (const one of [...this.asked.values()])
      if (one.id) this.handOver(one, this.me, this.since);
      else if (this.end(one)) one.reject(complaint("unavailable", BLOCKED));
  }

  handOver(one, channel, since) {
    if (!this.end(one)) return;
    const { token, credentials } = this, { id, options: { signal, onEvent } } = one;
    const tell = (event) => event.job === id && onEvent?.(event);
    ringback(this.base.replace("*", channel), { token, credentials, signal, since, job: id, onEvent: tell })
      .then(one.resolve, one.reject);
  }

  take(said) {
    const { event, id, error, subscribed, enqueued, ref } = said;
    const own = !id && event; // the notifier's, not an app's of that name
    if (own === "expiring") this.renew();
    else if (own === "revoked") this.failAll(complaint("refused", "The channel was taken back."));
    else if (event) this.hear(said);
    else if (/^me:/.test(subscribed)) this.me = subscribed;
    else if (error?.code === "too_fast") {
      clearTimeout(this.lull);
      this.lull = setTimeout(() => this.say && this.askAll(), LULL);
    } else if (this.asked.has(ref)) this.answer(this.asked.get(ref), enqueued, error);
  }

  answer(one, enqueued, error) {
    if (error) return this.end(one) && one.reject(complaint(error.code, error.message));
    const { id, channel } = enqueued;
    one.id = id;
    one.tell({ event: "enqueued", job: id, channel });
    if (one.job.channel) this.handOver(one, channel);
    else this.me = channel;
  }

  hear(said) {
    const { id, event, job, data, link, error } = said, { since } = this;
    if (id) this.since = id;
    const one = [...this.asked.values()].find((one) => one.id && one.id === job);
    if (one && link) this.handOver(one, this.me, since); // which fetches it
    else if (!one?.tell(said)) return;
    else if (event === "done") this.end(one) && one.resolve(data);
    else if (event === "failed" && this.end(one)) {
      const { message, code, status } = error || {};
      one.reject(new ringback.Error(message || "The job failed.", { code, status, event: said }));
    }
  }

  async renew() {
    const { say, token } = this;
    if (typeof token !== "function") return;
    try { say({ token: await token() }); } catch (_) {} // asked again at the end
  }
}

ringback.enqueue = (job, options = {}) => new Promise((resolve, reject) => {
  const { signal, token, credentials, notifier = ringback.home, onEvent } = options;
  const key = [new URL("wait/", notifier).href + "*", token, credentials];
  const desk = [...desks].find((desk) => desk.key.every((part, i) => part === key[i])) || new Desk(key);
  const named = job.channel && job.channel !== "@me"; // goes without an id
  const one = { ref: ++last, options, job: named ? job : { ...job, id: job.id || newId() } };
  if (!named) delete one.job.channel;

  const over = (settle) => (value) => {
    signal?.removeEventListener("abort", abort);
    settle(value);
  };
  const abort = () => desk.end(one) && one.reject(signal.reason);
  Object.assign(one, { resolve: over(resolve), reject: over(reject) });
  // False when the page's own code threw.
  one.tell = (event) => {
    try {
      onEvent?.(event);
      return true;
    } catch (error) {
      if (desk.end(one)) one.reject(error);
    }
  };
  if (signal?.aborted) return reject(signal.reason);
  signal?.addEventListener("abort", abort);
  desk.add(one);
});
})(globalThis);
