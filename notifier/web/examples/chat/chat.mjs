// Shows what is said in the room, from the beginning of what is kept.
const { room, notifier } = document.body.dataset;
const { events } = await import(`${notifier}/ringback.mjs`);
const said = document.getElementById("said"), form = document.getElementById("form");
const state = document.getElementById("state");
form.name.value = localStorage.getItem("name") ?? "";

function add(kind, ...parts) {
  const line = document.createElement("li");
  line.className = kind;
  for (const [name, text] of parts) {
    const part = document.createElement(name);
    part.textContent = text;
    line.append(part, " ");
  }
  const atEnd = said.scrollHeight - said.scrollTop - said.clientHeight < 60;
  said.append(line);
  if (atEnd) said.scrollTop = said.scrollHeight;
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  body.set("room", room);
  localStorage.setItem("name", form.name.value);
  const answer = await fetch("say", { method: "POST", body }).catch(() => null);
  state.textContent = answer?.ok ? "" : "It could not be sent. Please try again.";
  if (answer?.ok) form.text.value = "";
};

try {
  for await (const { event, data } of events(`${notifier}/wait/chat:${room}`)) {
    if (event === "gap") add("note", ["i", "Earlier messages are kept no longer."]);
    if (event !== "message") continue;
    const mine = data.name === form.name.value ? "mine" : "";
    const at = new Date(data.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    add(mine, ["b", data.name], ["span", data.text], ["time", at]);
  }
} catch (error) {
  state.textContent = error.message;
}
