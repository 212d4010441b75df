// The element <ring-back>: its content is the splash, its template is filled with the result.
(function (root) {
"use strict";

const { document, HTMLElement, customElements } = root;
const UNDER_WAY = ["started", "retrying", "partial"];

// "offers.0.price" of a value; "" is the value itself.
function pick(value, path) {
  return path ? path.split(".").reduce((at, name) => at?.[name], value) : value;
}

// Text only, never HTML from outside.
function fill(template, data) {
  const copy = template.content.cloneNode(true);
  for (const place of copy.querySelectorAll("[data-field]"))
    place.textContent = pick(data, place.dataset.field) ?? "";
  for (const place of copy.querySelectorAll("[data-if]"))
    if (!pick(data, place.dataset.if)) place.remove();
  for (const inner of copy.querySelectorAll("template[data-each]")) {
    const items = pick(data, inner.dataset.each);
    inner.replaceWith(...(Array.isArray(items) ? items : []).map((item) => fill(inner, item)));
  }
  return copy;
}

class RingBack extends HTMLElement {
  static observedAttributes = ["channel", "src"];

  connectedCallback() {
    if (document.readyState === "loading") // the templates are not there yet
      document.addEventListener("DOMContentLoaded", () => this.isConnected && this.wait(), { once: true });
    else this.wait();
  }

  disconnectedCallback() {
    this.control?.abort();
  }

  attributeChangedCallback() {
    if (this.control && this.isConnected) this.wait();
  }

  // Waits for the result, from the splash on.
  async wait() {
    const where = this.getAttribute("src") || this.getAttribute("channel");
    this.control?.abort();
    const control = this.control = new AbortController();
    this.splash ??= [...this.childNodes];
    this.replaceChildren(...this.splash);
    this.enter("waiting");
    if (!where) return;
    if (!this.hasAttribute("aria-live")) this.setAttribute("aria-live", "polite");
    const { signal } = control, { token } = this;
    try {
      const data = await root.ringback(where, { signal, token, onEvent: (event) => this.hear(event) });
      if (!signal.aborted) this.show("done", data);
    } catch (error) {
      if (!signal.aborted) this.show("failed", error);
    }
  }

  hear(event) {
    if (event.event === "partial") this.count(event);
    if (UNDER_WAY.includes(event.event)) this.enter(event.event);
    this.dispatchEvent(new CustomEvent("ringback", { detail: event, bubbles: true }));
  }

  template(state) {
    return this.splash.find((node) => node.localName === "template" &&
      (node.dataset.when || "done") === state);
  }

  // One of several answers came; it may come again, from another worker.
  count(event) {
    const template = this.template("partial");
    const nodes = template ? [...fill(template, event).childNodes] : [];
    for (const node of this.parts.get(event.part) ?? []) node.remove();
    this.parts.set(event.part, nodes);
    if (template) template.before(...nodes);
    for (const bar of this.querySelectorAll("progress")) {
      if (event.parts) bar.max = event.parts; // an app's own need not tell
      bar.value = this.parts.size;
    }
  }

  enter(state) {
    const busy = !["done", "failed"].includes(state);
    if (state === "waiting") this.parts = new Map(); // part → what was added for it
    this.setAttribute("state", state);
    this.setAttribute("aria-busy", busy);
    for (const part of this.querySelectorAll("[data-when]:not(template)"))
      part.hidden = !part.dataset.when.split(" ").includes(state);
  }

  show(state, value) {
    const template = this.template(state);
    if (template) this.replaceChildren(fill(template, value));
    else if (state === "failed") this.replaceChildren(value.message);
    else this.replaceChildren(typeof value === "string" ? value : JSON.stringify(value));
    this.enter(state);
  }
}

customElements.define("ring-back", RingBack);
})(globalThis);
