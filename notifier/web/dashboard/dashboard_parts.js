/* What the operator's page is made of: elements, figures as people write them, small
 * pictures. What comes from outside becomes text, never markup. */
/* ---- making elements ---- */

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/* Writes only what has changed, so that who selects or listens is left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* One child for each item, by key: those that stay keep their place and their focus. */
export function list(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

export function cells(labels, classes = {}) {
  return el("tr", {}, ...labels.map((label, i) => el("td", { "data-label": label || null, class: classes[i] })));
}

export function pairs(parent, entries) {
  list(parent, entries, ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")),
    (row, [, value, bad]) => {
      say(row.lastChild, value);
      row.lastChild.className = bad ? "bad" : "";
    });
}

/* ---- writing figures ---- */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (n) => (n == null ? "–" : n < 1e6 ? whole.format(n) : short.format(n));
export const rate = (n) => (n == null ? "–" : n > 0 && n < 9.95 ? n.toFixed(1) : count(Math.round(n)));

export function span(s) {
  if (s == null) return "–";
  if (s === 0) return "0 s";
  if (s < 0.9995) return `${(s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms`;
  if (s < 99.5) return `${s.toFixed(s < 9.95 ? 1 : 0)} s`;
  if (s < 5970) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB", { hour12: false }) +
  "." + String(Math.floor(ms) % 1000).padStart(3, "0");
export const day = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
export const pill = (text, kind) => el("span", { class: `pill ${kind ?? ""}` }, text);

/* ---- pictures ---- */

export function spark() {
  return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "area" }), svg("path"));
}

/* points: [time, value or null]; a minute at least fills the width, and all that is kept. */
export function draw(picture, points, now) {
  const known = points.filter(([, value]) => value != null);
  const most = Math.max(...known.map(([, value]) => value), 1e-9);
  const width = Math.max(now - points[0][0], 60_000);
  const path = known.map(([at, value]) =>
    `${(100 * (1 - (now - at) / width)).toFixed(2)} ${(28 - (26 * value) / most).toFixed(2)}`);
  const [area, line] = picture.children;
  line.setAttribute("d", path.length ? `M${path.join("L")}` : "");
  area.setAttribute("d", path.length ? `M${path[0].split(" ")[0]} 30L${path.join("L")}L${path.at(-1).split(" ")[0]} 30Z` : "");
}

export function histogram(picture, latency, label) {
  const most = Math.max(...latency.map((bucket) => bucket.calls), 1);
  const width = 100 / Math.max(latency.length, 1);
  picture.setAttribute("aria-label", label);
  picture.replaceChildren(...latency.map(({ le_s, calls }, i) => {
    const height = calls ? Math.max(2, (30 * calls) / most) : 1;
    const bound = le_s == null ? "longer" : `up to ${span(le_s)}`;
    return svg("rect", { x: i * width + width * 0.1, y: 30 - height, width: width * 0.8, height, class: calls ? "" : "empty" },
      svg("title", {}, `${bound}: ${count(calls)}`));
  }));
}
