// A row for each question: from "asked" over "queued" to the price, or to what went wrong.
const { notifier } = document.body.dataset;
const { enqueue } = await import(`${notifier}/ringback.mjs`);
const form = document.querySelector("form"), rows = document.querySelector("tbody");
const STATES = { enqueued: "queued", started: "the exchange is asked", retrying: "it is asked again" };

async function ask(symbol) {
  const row = rows.insertRow(0);
  const [, state, price] = [symbol, "asked", ""].map((text) => {
    const cell = row.insertCell();
    cell.textContent = text;
    return cell;
  });
  row.className = "arrived";
  const onEvent = ({ event }) => { state.textContent = STATES[event] ?? state.textContent; };
  try {
    const quote = await enqueue({ service: "stock-quote", params: { symbol } }, { onEvent });
    state.textContent = quote.name;
    price.textContent = `${quote.price} ${quote.currency}`;
  } catch (error) {
    state.textContent = error.message;
    state.className = "bad";
  }
}

form.onsubmit = (event) => {
  event.preventDefault();
  ask(form.symbol.value.trim());
  form.reset();
};
