// Fills the splashes of the page with the quotes as they come.
"use strict";

const { notifier } = document.body.dataset;
const began = performance.now();
const cards = [...document.querySelectorAll("[data-channel]")];
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
  return make("a", { href: `?symbol=${symbol}` }, symbol);
}

function showWatched(card, quote) {
  card.replaceChildren(
    make("p", { class: "name" }, link(quote.symbol), change(quote, true)),
    make("p", { class: "small arrived" }, money.format(quote.price)),
    make("p", { class: "full" }, quote.name));
}

const troubles = {
  404: "There is no such share.",
  503: "Trading is interrupted.",
};

function showTrouble(card, error, again) {
  const { symbol } = card.dataset;
  const text = troubles[error.status] || "The exchange did not answer.";
  const trouble = make("div", { class: "trouble" }, make(card === hero ? "h1" : "p", {}, text));
  if (error.status !== 404) {
    const button = make("button", { type: "button" }, "Ask again");
    button.onclick = () => {
      button.disabled = true;
      button.textContent = "Asking …";
      again();
    };
    trouble.append(button);
  }
  const name = card === hero ? make("p", { class: "eyebrow" }, symbol)
                             : make("p", { class: "name" }, link(symbol));
  trouble.prepend(name);
  card.replaceChildren(trouble);
}

function tellHowMany() {
  const missing = cards.filter((card) => card.getAttribute("aria-busy") === "true").length;
  document.getElementById("dot").classList.toggle("on", missing === 0);
  document.getElementById("told").textContent = missing === 0 ? "All answers are here."
    : `The page is here; ${missing} of ${cards.length} answers are on their way.`;
}

// Waits for the card's answer and shows it. `since`: what was answered before.
async function wait(card, since) {
  const { channel } = card.dataset;
  let last;
  const onEvent = (event) => { last = event; };
  try {
    const quote = await ringback(`${notifier}/wait/${channel}`, { onEvent, since });
    if (card === hero) showHero(quote);
    else showWatched(card, quote);
    navigator.sendBeacon(`shown?job=${last.job}&channel=${channel}`);
  } catch (error) {
    showTrouble(card, error, async () => {
      await fetch(`again?channel=${channel}`, { method: "POST" });
      wait(card, last && last.id);
    });
  }
  card.setAttribute("aria-busy", "false");
  tellHowMany();
}

const clock = setInterval(() => {
  const place = hero.querySelector(".clock");
  if (!place) return clearInterval(clock);
  place.textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
}, 100);

tellHowMany();
for (const card of cards) wait(card);
