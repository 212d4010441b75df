/* ringback: waits for the event that ends a job, and resolves with its data.
 *
 *   <script src="/ringback.js"></script>          (or: import "/ringback.js")
 *   ringback.wait("quote:ACME").then(show, complain);
 *
 * ringback.wait(channel, {onEvent, signal, since}) → Promise; ringback(…) is the same
 *   channel  its name, or several joined by commas, at the notifier that the script came
 *            from; or an address: /wait/<channel>?token=…, https://…/wait/<channel>
 *   onEvent  is called with every event: {id, channel, event, job, at, data, error, …};
 *            an app's own PUBLISH that is no event comes as {event: "message", data}
 *   signal   an AbortSignal: the promise rejects with its reason
 *   since    a cursor: events up to it are not told again
 * Resolves with `data` of the first `done`. Rejects with an Error: on `failed` its code,
 * status and message are the event's and `event` is all of it; `code` is "refused" when
 * the notifier said no (status and message tell why), "ended" when the channel's last job
 * had ended before `since`.
 *
 * It listens on a WebSocket; where none can be opened it asks by long-poll, which also
 * tells why. It comes back after every failure, with a growing delay and jitter, and reads
 * on where it was. */
(function (root) {
  "use strict";

  const BASE = 500, MOST = 30000; // ms between two attempts: random up to BASE · 2ⁿ
  const page = root.location && root.location.href;
  const script = root.document && root.document.currentScript;
  const home = (script && script.src) || page;

  function failure(message, fields) {
    return Object.assign(new Error(message), fields);
  }

  // What a message says. Bytes that are no text come as a Blob.
  function parse(text) {
    let data = text;
    try {
      data = JSON.parse(text);
    } catch (_) { /* an app may publish anything */ }
    return data && typeof data.event === "string" ? data : { event: "message", data };
  }

  function ringback(channel, { onEvent, signal, since } = {}) {
    return new Promise((resolve, reject) => {
      const target = channel.includes("/") ? new URL(channel, page)
                                           : new URL("wait/" + channel, home);
      const path = target.pathname.split("/").pop();
      const channels = decodeURIComponent(path).split(",");
      const cursor = since ? since.split(",") : channels.map(() => "-");
      let attempts = 0, timer, settled = false, stop = () => {};

      function settle(how, value) {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        if (signal) signal.removeEventListener("abort", abort);
        stop();
        how(value);
      }

      function abort() {
        settle(reject, signal.reason);
      }

      function address(scheme) {
        const to = new URL(target);
        to.protocol = to.protocol.replace(/^(http|ws)/, scheme);
        to.searchParams.set("until", "done");
        if (cursor.some((id) => id !== "-")) to.searchParams.set("since", cursor.join(","));
        return to.href;
      }

      function take(event) {
        if (settled) return;
        attempts = 0;
        // A name that we did not ask for is what @session stands for.
        let at = channels.indexOf(event.channel);
        if (at < 0) at = channels.length === 1 ? 0 : channels.indexOf("@session");
        if (event.id && at >= 0) cursor[at] = event.id;
        try {
          if (onEvent) onEvent(event);
        } catch (error) {
          settle(reject, error);
        }
        if (event.event === "done") settle(resolve, event.data);
        if (event.event === "failed") {
          const error = event.error || {};
          settle(reject, failure(error.message || "The job failed.",
            { code: error.code, status: error.status, event }));
        }
      }

      function again() {
        if (settled) return;
        const delay = Math.random() * Math.min(MOST, BASE * 2 ** attempts++);
        timer = setTimeout(listen, delay);
      }

      function listen() {
        if (typeof root.WebSocket !== "function") return ask();
        let opened = 0;
        const socket = new root.WebSocket(address("ws"));
        stop = () => socket.close(1000);
        socket.onopen = () => { opened = Date.now(); };
        socket.onmessage = (message) => take(parse(message.data));
        socket.onclose = ({ code, reason }) => {
          if (settled) return;
          if (opened && Date.now() - opened > MOST) attempts = 0;
          if (code === 1000)
            settle(reject, failure(reason || "The channel has ended.", { code: "ended" }));
          else if (code === 1008)
            settle(reject, failure(reason || "The notifier refused.", { code: "refused" }));
          else if (opened) again();
          else ask();
        };
      }

      async function ask() {
        const control = new AbortController();
        const asked = Date.now();
        stop = () => control.abort();
        try {
          const answer = await root.fetch(address("http"), { signal: control.signal });
          const { status } = answer;
          if (status === 200) {
            (await answer.json()).events.forEach(take);
          } else if (status >= 400 && status < 500 && ![408, 425, 429].includes(status)) {
            const problem = await answer.json().catch(() => ({}));
            settle(reject, failure(problem.detail || problem.title || "The notifier refused.",
              { code: "refused", status }));
          } else if (status === 204 && Date.now() - asked > BASE) {
            attempts = 0; // a quiet channel, not a failure
          }
        } catch (_) { /* the network; we come back */ }
        again();
      }

      if (signal && signal.aborted) return abort();
      if (signal) signal.addEventListener("abort", abort);
      listen();
    });
  }

  ringback.wait = ringback;
  root.ringback = ringback;
  if (typeof module === "object" && module.exports) module.exports = ringback;
})(typeof globalThis === "object" ? globalThis : self);
