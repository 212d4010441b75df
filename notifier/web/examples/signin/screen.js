// The screen: waits for the ticket that the phone's confirmation brings.
const { notifier, channel, life } = document.body.dataset;
const left = document.getElementById("left"), bar = document.getElementById("bar");
const ends = Date.now() + life * 1000;
const tooLate = new AbortController();

const clock = setInterval(() => {
  const seconds = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  bar.value = seconds;
  left.textContent = `The code is good for ${seconds} s.`;
  if (seconds === 0) tooLate.abort();
}, 250);

async function enter() {
  try {
    const { ticket } = await ringback(`${notifier}/wait/${channel}`, { signal: tooLate.signal });
    const answer = await fetch("enter", { method: "POST", body: new URLSearchParams({ ticket }) });
    if (answer.ok) location.reload();
    else left.textContent = "It did not work. Please load the page again.";
  } catch (_) {
    document.getElementById("qr").classList.add("old");
    const again = Object.assign(document.createElement("a"), { className: "button", href: "" });
    again.textContent = "Show a new code";
    left.replaceChildren("The code has expired. ", again);
  } finally {
    clearInterval(clock);
  }
}
enter();
