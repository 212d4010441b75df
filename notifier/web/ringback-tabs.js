// One connection for all tabs of a site: load it behind ringback.js. The tabs talk to a shared
// worker, which is this file too; where there can be none each tab keeps its own connection.
(function (root) {
"use strict";

const { document, location, navigator, SharedWorker } = root;
const KEPT = 200; // events of a channel, for tabs that come to it later

/* What one address tells, heard once from its beginning for all who hear it. */
class Hub {
  constructor(hubs, key, where, options) {
    Object.assign(this, { hubs, key, events: [], hearers: new Set(), whole: true });
    hubs.set(key, this);
    this.stop = root.ringback.hear(where, options, (event) => this.take(event), (error) => {
      const all = [...this.hearers];
      this.end();
      for (const hearer of all) hearer.fail(error);
    });
  }

  take(event) {
    this.events.push(event);
    if (this.events.length > KEPT) this.whole = Boolean(this.events.pop());
    if (!this.whole) this.hubs.delete(this.key); // who comes now begins a hub of its own
    for (const hearer of [...this.hearers]) hearer.take(event);
  }

  add(hearer) {
    this.hearers.add(hearer);
    for (const event of [...this.events]) if (this.hearers.has(hearer)) hearer.take(event);
    return () => {
      this.hearers.delete(hearer);
      if (this.hearers.size === 0) this.end();
    };
  }

  end() {
    this.stop();
    this.hearers.clear();
    if (this.hubs.get(this.key) === this) this.hubs.delete(this.key);
  }
}

// ---- the worker

function serve(port, hubs) {
  const stops = new Map();
  const tell = (id) => ({
    take: (event) => port.postMessage({ id, event }),
    fail: ({ message, code, status }) => {
      stops.delete(id);
      port.postMessage({ id, error: { message, code, status } });
    },
  });

  function hear(id, where, options) {
    const hearer = tell(id);
    if (options.since) return root.ringback.hear(where, options, hearer.take, hearer.fail);
    const key = JSON.stringify([where, options]);
    return (hubs.get(key) ?? new Hub(hubs, key, where, options)).add(hearer);
  }

  port.onmessage = ({ data: { id, where, options, tab, wake } }) => {
    if (wake) root.ringback.wake();
    // A tab holds the lock of its name for as long as it lives.
    else if (tab) navigator.locks.request(tab, () => stops.forEach((stop) => stop()));
    else if (where)
      try {
        stops.set(id, hear(id, where, options));
      } catch (error) {
        tell(id).fail(error); // an address that is none
      }
    else {
      stops.get(id)?.();
      stops.delete(id);
    }
  };
}

if (!document) {
  const hubs = new Map();
  root.importScripts("ringback.js");
  root.onconnect = ({ ports: [port] }) => serve(port, hubs);
  return;
}

// ---- a tab

const { ringback } = root, alone = ringback.hear;
const { src } = document.currentScript;
if (!SharedWorker || !navigator.locks || new URL(src).origin !== location.origin) return;

const worker = new SharedWorker(src, "ringback"), { port } = worker;
const heard = new Map(); // id → {take, fail, again}
let last = 0;

// It may not be run here: each goes on by itself.
worker.onerror = () => {
  ringback.hear = alone;
  for (const [id, hearer] of [...heard]) {
    heard.delete(id);
    hearer.again();
  }
};

port.onmessage = ({ data: { id, event, error } }) => {
  const hearer = heard.get(id);
  if (error) hearer?.fail(new ringback.Error(error.message, error));
  else hearer?.take(event);
};
const tab = `ringback-${Math.random()}`;
navigator.locks.request(tab, () => {
  port.postMessage({ tab });
  return new Promise(() => {});
});
const wake = () => document.hidden || port.postMessage({ wake: true });
root.addEventListener("online", wake);
document.addEventListener("visibilitychange", wake);

ringback.hear = (where, options, take, fail) => {
  const { signal, token, since, credentials = "same-origin", shared } = options;
  // A function can't be handed to the worker.
  if (typeof token === "function" || shared === false || signal?.aborted)
    return alone(where, options, take, fail);
  const target = where.includes("/") ? new URL(where, location.href)
                                     : new URL("wait/" + where, ringback.home);
  const at = target.pathname.lastIndexOf("/") + 1, id = ++last;
  const base = target.origin + target.pathname.slice(0, at) + "*" + target.search;

  let end = () => {
    if (!heard.delete(id)) return;
    signal?.removeEventListener("abort", abort);
    port.postMessage({ id });
  };

  const failed = (error) => {
    end();
    fail(error);
  };
  const abort = () => failed(signal.reason);
  const again = () => {
    signal?.removeEventListener("abort", abort);
    end = alone(where, options, take, fail);
  };
  heard.set(id, { take: (event) => take(event, { base, token, credentials }), fail: failed, again });
  signal?.addEventListener("abort", abort);
  port.postMessage({ id, where: target.href, options: { since, token, credentials } });
  return () => end();
};
})(globalThis);
