// Fills the splashes of the page with the quotes as they come.
"use strict";

const { channel, notifier } = document.body.dataset;
const began = performance.now();
const cards = new Map(
  [...document.querySelectorAll("[data-symbol]")].map((card) => [card.dataset.symbol, card]));
const hero = document.getElementById("hero");
const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const count = new Intl.NumberFormat();

// make("p", {class: "x"}, "text", child…): elements, never HTML from outside.
function make(name, attributes, ...children) {
  const svg = ["svg", "path"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name)
                      : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const direction = (quote) => (quote.change < 0 ? "down" : "up");

// "▲ +4.64 (+2.53 %)", or the percentage alone where there is little room.
function change(quote, brief) {
  const sign = quote.change < 0 ? "−" : "+";
  const amount = `${sign}${money.format(Math.abs(quote.change))}`;
  const percent = `${sign}${money.format(Math.abs(quote.change_percent))} %`;
  return make("span", { class: `change ${direction(quote)}` },
    `${quote.change < 0 ? "▼" : "▲"} ${brief ? percent : `${amount} (${percent})`}`);
}

function spark(quote) {
  const { history, low, high } = quote;
  const points = history.map((price, i) =>
    `${((i / (history.length - 1)) * 100).toFixed(2)} ${(38 - ((price - low) / (high - low || 1)) * 36).toFixed(2)}`);
  return make("svg", { class: `spark ${direction(quote)}`, viewBox: "0 0 100 40",
      preserveAspectRatio: "none", role: "img", "aria-label": "The price over the day" },
    make("path", { class: "area", d: `M0 40 L${points.join(" L")} L100 40 Z` }),
    make("path", { d: `M${points.join(" L")}` }));
}

function fact(term, value) {
  return make("div", {}, make("dt", {}, term), make("dd", {}, value));
}

function showHero(quote) {
  hero.replaceChildren(
    make("p", { class: "eyebrow" }, `${quote.symbol} · ${quote.seat}`),
    make("h1", {}, quote.name),
    make("p", { class: "price arrived" }, money.format(quote.price), " ",
      make("small", {}, quote.currency)),
    make("p", {}, change(quote), " today"),
    spark(quote),
    make("dl", {},
      fact("Low", money.format(quote.low)), fact("High", money.format(quote.high)),
      fact("Volume", count.format(quote.volume)),
      fact("Answered in", `${((performance.now() - began) / 1000).toFixed(1)} s`)));
}

function link(symbol) {
  return make("a", { href: `/?symbol=${symbol}` }, symbol);
}

function showWatched(card, quote) {
  card.replaceChildren(
    make("p", { class: "name" }, link(quote.symbol), change(quote, true)),
    make("p", { class: "small arrived" }, money.format(quote.price)),
    make("p", { class: "full" }, quote.name));
}

const troubles = {
  404: "There is no such share.",
  503: "The exchange has interrupted trading.",
};

function showTrouble(card, symbol, error) {
  const button = make("button", { type: "button" }, "Ask again");
  button.onclick = async () => {
    button.disabled = true;
    button.textContent = "Asking …";
    await fetch("/again", { method: "POST", body: JSON.stringify({ channel, symbol }) });
  };
  const text = make(card === hero ? "h1" : "p", {}, troubles[error.status] || "The exchange did not answer.");
  const trouble = make("div", { class: "trouble" }, text);
  if (error.status !== 404) trouble.append(button);
  if (card === hero) trouble.prepend(make("p", { class: "eyebrow" }, symbol));
  card.replaceChildren(
    ...(card === hero ? [] : [make("p", { class: "name" }, link(symbol))]), trouble);
}

let missing = cards.size;
function told(text) {
  document.getElementById("told").textContent = text;
}

// The job's id is <channel>-<symbol>-<random>: it says which card the event is for.
function show(event) {
  const symbol = (event.job || "").slice(channel.length + 1).split("-")[0];
  const card = cards.get(symbol);
  if (!card) return;
  if (event.event === "done") {
    if (card === hero) showHero(event.data);
    else showWatched(card, event.data);
  } else if (event.event === "failed") {
    showTrouble(card, symbol, event.error);
  } else {
    return;
  }
  if (card.getAttribute("aria-busy") === "true") missing -= 1;
  card.setAttribute("aria-busy", "false");
  told(missing > 0 ? `${missing} of ${cards.size} prices are on their way.`
                   : "All prices are here; the line stays open.");
}

const clock = setInterval(() => {
  const place = hero.querySelector(".clock");
  if (!place) return clearInterval(clock);
  place.textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
}, 100);
