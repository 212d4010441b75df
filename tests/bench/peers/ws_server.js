// Node's `ws`, the way a small server is written with it: a set of sockets for each channel,
// one subscription at Redis for each channel somebody waits on.
//
//     node ws_server.js REDIS_SOCKET        prints "listening PORT"
"use strict";
const { WebSocketServer } = require("ws");
const { createClient } = require("redis");

const channels = new Map();
const redis = createClient({ socket: { path: process.argv[2] } });
redis.on("error", (error) => { console.error(error); process.exit(1); });

function hand(members, text) {
  const json = text.slice(text.indexOf("{"));
  for (const socket of members) socket.send(json);
}

redis.connect().then(() => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", backlog: 4096, perMessageDeflate: false },
    () => console.log(`listening ${server.address().port}`));
  server.on("connection", (socket, request) => {
    const name = `ringback:ch:{${request.url.slice("/wait/".length)}}`;
    let members = channels.get(name);
    if (!members) {
      const sockets = members = new Set();
      channels.set(name, members);
      redis.subscribe(name, (text) => hand(sockets, text));
    }
    members.add(socket);
    socket.on("close", () => members.delete(socket));
    socket.on("error", () => socket.terminate());
  });
});
