// Every step of the visitor's orders, also those of the last ten minutes.
const { notifier } = document.body.dataset;
const { events } = await import(`${notifier}/ringback.mjs`);
const STEPS = { paid: "Paid", packed: "Packed", "handed-over": "On its way", delivered: "Delivered" };
const list = document.getElementById("orders"), trouble = document.getElementById("trouble");

function card(order) {
  document.getElementById("none").hidden = true;
  const known = document.getElementById(`order-${order}`);
  if (known) return known;
  const made = Object.assign(document.createElement("section"), { id: `order-${order}`, className: "card arrived" });
  const title = Object.assign(document.createElement("h2"), { textContent: `Order ${order}` });
  const text = Object.assign(document.createElement("p"), { className: "quiet", textContent: "Thank you. We are at it." });
  const steps = document.createElement("ol");
  for (const [step, name] of Object.entries(STEPS)) {
    const item = Object.assign(document.createElement("li"), { textContent: name });
    item.dataset.step = step;
    steps.append(item);
  }
  made.append(title, steps, text);
  list.prepend(made);
  return made;
}

document.getElementById("buy").onclick = async () => {
  const answer = await fetch("buy", { method: "POST" }).catch(() => null);
  if (answer?.ok) card((await answer.json()).order);
  else trouble.textContent = "The order did not go through. Please load the page again.";
};

try {
  const waits = events(`${notifier}/wait/@session`, { credentials: "include" });
  for await (const { event, data, error } of waits) {
    if (event === "failed") trouble.textContent = `The carrier does not answer: ${error.message}`;
    if (event !== "done") continue;
    const order = card(data.order);
    order.querySelector(`[data-step="${data.state}"]`).classList.add("reached");
    order.querySelector("p").textContent = data.text;
  }
} catch (error) {
  trouble.textContent = error.message;
}
