/* The operator's page: reads GET /status as a stream and shows it. */
import { el, svg, say, list, cells, pairs, count, rate, span, clock, day, pill, spark, draw, histogram } from "./dashboard_parts.js";

const $ = (id) => document.getElementById(id);
const KEPT_MS = 300_000; // of the figures of the last minutes
const RATE_MS = 10_000; // a rate is taken over so long
const SILENT_MS = 8_000; // a line on which nothing comes is lost
const LOOK_MS = 1_900; // between two looks at one job
const DEAD = 20; // so many are listed
const TOKEN = "ringback.admin.token";

/* ---- the last minutes ---- */

let samples = [];

function remember(status) {
  const sum = (object) => Object.values(object ?? {}).reduce((all, n) => all + n, 0);
  const services = Object.entries(status.services ?? {});
  const sample = {
    at: status.at,
    delivered: sum(status.notifier.delivered),
    connections: sum(status.notifier.connections),
    queues: Object.fromEntries(Object.entries(status.queues ?? {}).map(([name, q]) => [name, q.waiting + q.retry])),
    calls: Object.fromEntries(services.map(([name, s]) => [name, s.calls])),
  };
  if (status.services) {
    sample.jobs = services.reduce((all, [, s]) => all + s.done + s.failed, 0);
    sample.allCalls = services.reduce((all, [, s]) => all + s.calls, 0);
    sample.inFlight = services.reduce((all, [, s]) => all + s.in_flight, 0);
    sample.waiting = sum(sample.queues);
  }
  samples = samples.filter((s) => s.at > sample.at - KEPT_MS && s.at < sample.at);
  samples.push(sample);
  sample.rates = { jobs: speed((s) => s.jobs), calls: speed((s) => s.allCalls), delivered: speed((s) => s.delivered) };
  return sample;
}

/* By the second; null when it is not known: nothing to compare with, or counters that
 * began again. */
function speed(of) {
  const last = samples.at(-1);
  const first = samples.find((s) => s.at >= last.at - RATE_MS && of(s) != null);
  if (of(last) == null || !first || last.at - first.at < 900) return null;
  const difference = of(last) - of(first);
  return difference < 0 ? null : (difference * 1000) / (last.at - first.at);
}

/* ---- the parts of the page ---- */

const TILES = [
  ["Jobs a second", (s) => s.rates.jobs, rate],
  ["Calls a second", (s) => s.rates.calls, rate],
  ["Deliveries a second", (s) => s.rates.delivered, rate],
  ["In flight", (s) => s.inFlight, count],
  ["Waiting", (s) => s.waiting, count],
  ["Connections", (s) => s.connections, count],
];

function showTiles(sample) {
  list($("tiles"), TILES, ([name]) => name,
    ([name]) => el("div", { class: "tile" }, el("span", { class: "name" }, name), el("span", { class: "value" }), spark()),
    (tile, [, of, write]) => {
      say(tile.children[1], write(of(sample)));
      draw(tile.children[2], samples.map((s) => [s.at, of(s)]), sample.at);
    });
}

/* The button says what a click does; what it shall do is read from it then. */
function pauseButton(kind, name) {
  return el("button", { type: "button", class: "plain", onclick: async (event) => {
    const paused = event.target.dataset.paused === "true";
    await act(event.target, paused ? "DELETE" : "POST",
      `paused/${encodeURIComponent(name)}?kind=${kind}`, `${name} ${paused ? "goes on" : "is paused"}`);
  } });
}

function showPaused(button, kind, name, paused) {
  button.dataset.paused = String(paused);
  button.setAttribute("aria-label", `${paused ? "Resume" : "Pause"} ${kind} ${name}`);
  say(button, paused ? "Resume" : "Pause");
}

function showQueues(status, sample) {
  list($("queues"), Object.entries(status.queues), ([name]) => name, ([name]) => {
    const row = cells(["", "waiting", "given back", "oldest", "", ""], { 0: "name", 1: "n", 2: "n", 3: "n" });
    row.children[0].append(name, " ");
    row.children[4].append(spark());
    row.children[5].append(pauseButton("queue", name));
    return row;
  }, (row, [name, q]) => {
    const [title, waiting, retry, oldest, picture, button] = row.children;
    if (q.paused !== Boolean(title.querySelector(".pill")))
      q.paused ? title.append(pill("paused", "warn")) : title.querySelector(".pill").remove();
    say(waiting, count(q.waiting));
    say(retry, count(q.retry));
    say(oldest, span(q.oldest_s));
    draw(picture.firstChild, samples.map((s) => [s.at, s.queues[name] ?? null]), sample.at);
    showPaused(button.firstChild, "queue", name, q.paused);
  });
  pairs($("beside"), [["due later", count(status.due)], ["dead", count(status.dead), status.dead > 0]]);
}

const BREAKERS = { open: "bad", "half-open": "warn", closed: "good" };

function showServices(status) {
  const labels = ["", "in flight", "done", "failed", "calls/s", "latency", "p50", "p95", "cache hits", "breaker", ""];
  list($("services"), Object.entries(status.services).sort(([a], [b]) => (a < b ? -1 : 1)), ([name]) => name, ([name]) => {
    const row = cells(labels, { 0: "name", 1: "n", 2: "n", 3: "n", 4: "n", 5: "pic", 6: "n", 7: "n", 8: "n" });
    row.children[0].append(name, " ");
    row.children[5].append(svg("svg", { class: "histogram", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" }));
    row.children[9].append(pill(""));
    row.children[10].append(pauseButton("service", name));
    return row;
  }, (row, [name, s]) => {
    const paused = status.paused_services.includes(name);
    const [title, flight, done, failed, speedCell, picture, p50, p95, hits, breaker, button] = row.children;
    if (paused !== Boolean(title.querySelector(".pill")))
      paused ? title.append(pill("paused", "warn")) : title.querySelector(".pill").remove();
    say(flight, count(s.in_flight));
    say(done, count(s.done));
    say(failed, count(s.failed));
    failed.classList.toggle("bad", s.failed > 0);
    say(speedCell, rate(speed((sample) => sample.calls[name])));
    histogram(picture.firstChild, s.latency,
      s.calls ? `Latency: half within ${span(s.p50_s)}, 95 of 100 within ${span(s.p95_s)}` : "No call yet");
    say(p50, span(s.p50_s));
    say(p95, span(s.p95_s));
    say(hits, s.cache_lookups ? `${Math.round((100 * s.cache_hits) / s.cache_lookups)} %` : "–");
    say(breaker.firstChild, s.breaker);
    breaker.firstChild.className = `pill ${BREAKERS[s.breaker]}`;
    showPaused(button.firstChild, "service", name, paused);
  });
  $("services-none").hidden = Object.keys(status.services).length > 0;
  $("services").parentElement.hidden = !$("services-none").hidden;
}

function showWorkers(status) {
  list($("workers"), status.workers, (w) => w.id,
    (w) => {
      const row = cells(["", "lease", "in hand"], { 0: "name", 1: "n", 2: "n" });
      row.firstChild.append(el("code", {}, w.id));
      return row;
    },
    (row, w) => {
      say(row.children[1], w.lease_ms > 0 ? span(w.lease_ms / 1000) : "lapsed");
      row.children[1].classList.toggle("bad", w.lease_ms <= 0);
      say(row.children[2], count(w.held));
    });
  $("workers-none").hidden = status.workers.length > 0;
  if (status.notifier.claim === "blpop") say($("workers-none"), "With worker.claim blpop they leave no trace in Redis.");
  $("workers").parentElement.hidden = status.workers.length === 0;
}

const TRANSPORTS = { websocket: "WebSocket", sse: "SSE", stream: "Stream", poll: "Long-poll", http: "HTTP", admin: "Admin" };

function showClients(n) {
  const most = Math.max(...Object.values(n.connections), 1);
  list($("transports"), Object.keys(TRANSPORTS), (kind) => kind,
    (kind) => el("li", {}, el("span", {}, TRANSPORTS[kind]),
      svg("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: 100, height: 4 }), svg("rect", { class: "part", height: 4 })),
      el("span", { class: "n" })),
    (row, kind) => {
      row.children[1].lastChild.setAttribute("width", (100 * n.connections[kind]) / most);
      say(row.lastChild, count(n.connections[kind]));
    });
  const reasons = (object) => Object.entries(object).filter(([, times]) => times > 0);
  const delivered = Object.values(n.delivered).reduce((a, b) => a + b, 0);
  pairs($("clients"), [
    ["channels", count(n.channels)], ["subscriptions", count(n.subscriptions)], ["delivered", count(delivered)],
    ["heard", count(n.messages.event + n.messages.raw)], ["published here", count(n.published.new)], ["gaps", count(n.gaps), n.gaps > 0],
    ...reasons(n.refused).map(([why, times]) => [`refused: ${why.replaceAll("_", " ")}`, count(times)]),
    ...reasons(n.closed).map(([why, times]) => [`closed: ${why.replaceAll("_", " ")}`, count(times)]),
  ]);
}

function showNotices(status) {
  const notices = [];
  if (status.error) notices.push([`Redis does not tell: ${status.error}. The notifier keeps its clients and goes on when it is back.`, true]);
  const silent = status.notifier.claim === "blpop"; // its workers tell nothing in Redis
  if (status.workers && !silent && !status.workers.some((w) => w.lease_ms > 0)) notices.push(["No worker is alive: jobs wait."]);
  for (const [name, s] of Object.entries(status.services ?? {}))
    if (s.breaker === "open") notices.push([`The circuit breaker of ${name} is open: its jobs fail without a call.`, true]);
  if (status.notifier.draining) notices.push(["This notifier is ending; its clients are sent to the next."]);
  list($("notices"), notices, ([text]) => text, ([text, grave]) => el("p", { class: `notice ${grave ? "grave" : ""}` }, text), () => {});
}

/* ---- the dead ---- */

let deadShown = { count: -1, at: 0 };

async function showDead(status) {
  const now = performance.now();
  say($("dead-count"), status.dead ? count(status.dead) + (status.dead > DEAD ? `, the newest ${DEAD} are shown` : "") : "");
  if (status.dead === deadShown.count && (status.dead === 0 || now - deadShown.at < 10_000)) return;
  deadShown = { count: status.dead, at: now };
  const answer = status.dead ? await ask(`dead?limit=${DEAD}`).catch(() => null) : null;
  const dead = answer?.ok ? (await answer.json()).dead : [];
  list($("dead"), dead.filter((d) => d.id), (d) => `${d.id} ${d.died}`, (d) => {
    const row = cells(["", "job", "queue", "reason", ""], { 0: "still", 1: "name", 3: "wide words" });
    const [when, job, queue, why, buttons] = row.children;
    when.append(`${day(d.died)}, ${clock(d.died).slice(0, 8)}`);
    const id = d.job_id ?? d.id;
    job.append(el("button", { type: "button", class: "link", onclick: () => lookAt(id) }, el("code", {}, id)));
    if (d.service) job.append(el("div", { class: "words" }, d.service));
    queue.append(d.queue ?? "–");
    why.append(pill(d.reason ?? "unknown", "bad"), " ", d.error ?? "");
    buttons.append(
      el("button", { type: "button", class: "plain", "aria-label": `Retry job ${id}`, onclick: (event) =>
        act(event.target, "POST", `dead/${encodeURIComponent(d.id)}`, `${id} is queued again`) }, "Retry"),
      el("button", { type: "button", class: "plain", "aria-label": `Drop job ${id}`, onclick: (event) =>
        drop(event.target, d.id, id) }, "Drop"));
    return row;
  }, () => {});
  $("dead-none").hidden = dead.length > 0;
  $("dead").parentElement.hidden = dead.length === 0;
}

function drop(button, id, shown) {
  const sure = $("sure");
  say($("sure-id"), shown);
  $("sure-no").onclick = () => sure.close();
  $("sure-yes").onclick = () => {
    sure.close();
    act(button, "DELETE", `dead/${encodeURIComponent(id)}`, `${shown} is dropped`);
  };
  sure.showModal();
  $("sure-no").focus();
}

/* ---- one job ---- */

const PLACES = {
  queue: (j) => `It waits in queue ${j.queue}, ${j.position ? `behind ${count(j.position)} others` : "as the next"}.`,
  retry: (j) => `It was given back, and waits in queue ${j.queue} before new ones.`,
  due: (j) => `It waits until ${day(j.due_at)}, ${clock(j.due_at)}.`,
  held: (j) => `Worker ${j.worker} has it in hand.`,
  dead: () => "It was given up.",
  ended: () => "It has ended.",
  unknown: () => "It is in no queue and in nobody’s hands now.",
};

function eventLine(e) {
  const error = e.error ? `${e.error.code}: ${e.error.message}` : "";
  switch (e.event) {
    case "started": return ["Started", "", ""];
    case "retrying": return [`Retrying${e.part ? ` ${e.part}` : ""}, attempt ${e.attempt}`, `in ${span((e.delay ?? 0) / 1000)} – ${error}`, "warn"];
    case "partial": return [`Part ${e.part}`, `of ${e.parts}, ${count(e.bytes)} bytes`, ""];
    case "done": return ["Done", [e.cached && "from the cache", e.stale && "stale", e.shared && "shared with another job", `${count(e.bytes)} bytes`]
      .filter(Boolean).join(", "), "good"];
    case "failed": return ["Failed", error, "bad"];
    default: return [e.event, `${count(e.bytes)} bytes`, ""];
  }
}

function lifeOf(j) {
  const life = [];
  const add = (at, what, words = "", kind = "") => at && life.push({ at, what, words, kind });
  add(j.asked_at, "Asked", j.service ? `for ${j.service}` : "");
  add(j.run_at, "To be run at");
  add(j.claimed_at, "First claimed", j.deliveries ? `handed out again ${j.deliveries} times since` : "");
  for (const e of j.events) add(e.at ?? Number(e.id.split("-")[0]), ...eventLine(e));
  if (j.dead) add(j.dead.died, "Given up", [j.dead.reason, j.dead.error].filter(Boolean).join(": "), "bad");
  add(j.cancelled_at, "Cancelled", "", "warn");
  add(j.delivered_at, "Written to a client", "", "good");
  if (j.due_at !== j.run_at) add(j.due_at, "Due");
  life.sort((a, b) => a.at - b.at);
  if (["queue", "retry", "held", "due"].includes(j.place)) life.push({ at: j.now, what: "Now", words: "", kind: "now" });
  return life;
}

let looked = null; // { id, channel, done, was: what it was when Redis still knew }

async function showJob() {
  const job = looked;
  if (!job || job.done || document.hidden || performance.now() - job.asked < LOOK_MS) return;
  job.asked = performance.now();
  const query = job.channel ? `?channel=${encodeURIComponent(job.channel)}` : "";
  const answer = await ask(`jobs/${encodeURIComponent(job.id)}${query}`).catch(() => null);
  const told = await answer?.json().catch(() => null);
  if (job !== looked || !told || answer.status === 401) return;
  if (!answer.ok) {
    job.done = true;
    say($("job-place"), told.detail ?? "It could not be looked at.");
    $("job-life").replaceChildren();
    return;
  }
  for (const fact of ["asked_at", "claimed_at", "run_at", "service"]) told[fact] = job.was[fact] = told[fact] ?? job.was[fact];
  const life = lifeOf(told);
  job.done = ["ended", "dead"].includes(told.place) && job.settled === life.length;
  job.settled = life.length;
  const channel = told.channel ? ` Its channel is ${told.channel}.` : " Its channel is not known: name it above.";
  say($("job-place"), PLACES[told.place](told) + channel + (told.complete ? "" : " Not all was looked at."));
  list($("job-life"), life.map((item, i) => [item, i ? (item.at - life[i - 1].at) / 1000 : null]),
    ([{ at, what }]) => (what === "Now" ? what : `${at} ${what}`),
    () => el("li", {}, el("span", { class: "what" }), el("span", { class: "when" }), el("div", { class: "words" })),
    (row, [{ at, what, words, kind }, after]) => {
      row.className = kind;
      say(row.children[0], what);
      say(row.children[1], after == null ? `${day(at)}, ${clock(at)}` : `${clock(at)}  +${span(after)}`);
      say(row.children[2], words);
    });
}

function lookAt(id, channel = "") {
  $("job-id").value = id;
  $("job-channel").value = channel;
  looked = { id, channel, was: {}, asked: -LOOK_MS };
  $("job-life").replaceChildren();
  history.replaceState(null, "", `#job=${encodeURIComponent(id)}${channel ? `&channel=${encodeURIComponent(channel)}` : ""}`);
  $("job-title").scrollIntoView({ block: "nearest" });
  return showJob();
}

function lookAtLink() {
  const named = new URLSearchParams(location.hash.slice(1));
  if (named.get("job")) lookAt(named.get("job"), named.get("channel") ?? "");
}

/* ---- asking and doing ---- */

function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  return fetch(path, { cache: "no-store", credentials: "same-origin", ...options, headers });
}

let saying = 0;

function tell(text) {
  say($("said"), text);
  clearTimeout(saying);
  saying = setTimeout(() => say($("said"), ""), 5000);
}

async function act(button, method, path, done) {
  button.disabled = true;
  try {
    const answer = await ask(path, { method });
    if (answer.ok) {
      tell(done);
      deadShown.count = -1;
      const fresh = await ask("status");
      if (fresh.ok) show(await fresh.json());
    } else {
      tell((await answer.json().catch(() => ({}))).detail ?? `It was refused (${answer.status}).`);
    }
  } catch {
    tell("The notifier did not answer.");
  }
  button.disabled = false;
}

/* ---- the line ---- */

function setLine(state, text) {
  $("line").className = `line ${state}`;
  say($("line-text"), text);
  $("board").classList.toggle("stale", state === "lost");
}

function show(status) {
  const sample = remember(status);
  const n = status.notifier;
  $("board").hidden = false;
  say($("about"), `${n.version}, ${n.processes === 1 ? "one process" : `${n.processes} processes`}, up ${span(n.uptime_s)}`);
  showNotices(status);
  showTiles(sample);
  showClients(n);
  if (!status.error) {
    showQueues(status, sample);
    showServices(status);
    showWorkers(status);
    showDead(status);
  }
}

/* Server-sent events, of which only `data` of whole events matters here. EventSource can't
 * send a token. */
async function listen(response, alive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = text.slice(0, end).split("\n").filter((l) => l.startsWith("data:")).map((l) => l.slice(5)).join("\n");
      text = text.slice(end + 2);
      if (!data) continue;
      alive();
      show(JSON.parse(data));
      showJob();
    }
  }
}

async function watch() {
  for (let failures = 0; ; failures++) {
    const abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), SILENT_MS);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENT_MS);
      failures = 0;
      setLine("live", "live");
    };
    try {
      const response = await ask("status", { headers: { Accept: "text/event-stream" }, signal: abort.signal });
      if (response.status === 401) {
        clearTimeout(timer);
        await askToken();
        continue;
      }
      if (response.ok) await listen(response, alive);
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError) console.info(String(error));
    }
    clearTimeout(timer);
    setLine("lost", "connection lost, trying again");
    await new Promise((go) => setTimeout(go, Math.min(5000, 500 * 2 ** failures) * (0.75 + Math.random() / 2)));
  }
}

/* Resolves when one was given; whether it is the right one is seen then. */
function askToken() {
  const wrong = sessionStorage.getItem(TOKEN) != null;
  sessionStorage.removeItem(TOKEN);
  setLine("", "a token is needed");
  $("board").hidden = true;
  $("door").hidden = false;
  say($("door-wrong"), wrong ? "That is not one of its tokens." : "");
  $("token").value = "";
  $("token").focus();
  return new Promise((go) => {
    $("door-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, $("token").value.trim());
      $("door").hidden = true;
      setLine("", "connecting");
      go();
    };
  });
}

$("job-form").onsubmit = (event) => {
  event.preventDefault();
  lookAt($("job-id").value.trim(), $("job-channel").value.trim());
};
addEventListener("hashchange", lookAtLink);
lookAtLink();
watch();
