// Connect, send, and see each message and how it ends.
"use strict";

const MOST = 500; // lines that are kept
const [connect, send] = [document.getElementById("connect"), document.getElementById("send")];
const rows = document.querySelector("tbody"), state = document.getElementById("state");
let socket, began = performance.now();

function log(arrow, text, kind = "") {
  const row = rows.insertRow(0);
  row.className = kind;
  for (const cell of [(performance.now() - began).toFixed(1), arrow, text])
    row.insertCell().textContent = cell;
  while (rows.rows.length > MOST) rows.deleteRow(-1);
}

function show(open, text) {
  state.textContent = text;
  document.getElementById("open").disabled = open;
  document.getElementById("close").disabled = !open;
  document.getElementById("go").disabled = !open;
}

// Text as it is, bytes as hex.
async function describe(data) {
  if (typeof data === "string") return data;
  const bytes = new Uint8Array(await data.arrayBuffer());
  const hex = [...bytes.slice(0, 64)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `${bytes.length} bytes: ${hex}${bytes.length > 64 ? " …" : ""}`;
}

connect.onsubmit = (event) => {
  event.preventDefault();
  began = performance.now();
  try {
    socket = new WebSocket(connect.url.value);
  } catch (error) {
    return log("✕", error.message, "bad");
  }
  show(true, "connecting …");
  socket.onopen = () => {
    show(true, "connected");
    log("●", `open${socket.extensions ? `, ${socket.extensions}` : ""}`, "good");
  };
  socket.onmessage = async ({ data }) => log("←", await describe(data));
  socket.onclose = ({ code, reason, wasClean }) => {
    show(false, "not connected");
    log("✕", `closed with ${code}${reason && ` “${reason}”`}${wasClean ? "" : ", not cleanly"}`, wasClean ? "" : "bad");
  };
};

document.getElementById("close").onclick = () => socket.close(Number(connect.code.value), "by hand");

send.onsubmit = (event) => {
  event.preventDefault();
  const { text, binary, times } = send;
  for (let i = 0; i < Number(times.value); i++) {
    const data = binary.checked ? new TextEncoder().encode(text.value) : text.value;
    socket.send(data);
    log("→", typeof data === "string" ? data : `${data.length} bytes`);
  }
};
