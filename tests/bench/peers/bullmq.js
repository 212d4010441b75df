// BullMQ, each job one GET on kept-alive connections; its result is BullMQ's own event.
//
//     node bullmq.js work REDIS_SOCKET URL CONCURRENCY     prints "ready"
//     node bullmq.js add REDIS_SOCKET JOBS
"use strict";
const http = require("http");
const { Queue, Worker } = require("bullmq");

const [, , verb, path, what, concurrency] = process.argv;
const connection = { path, maxRetriesPerRequest: null };
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 20000 });

function call(url) {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (text) => { body += text; });
      answer.on("end", () => resolve(JSON.parse(body)));
    }).on("error", reject);
  });
}

async function add(jobs) {
  const queue = new Queue("bench", { connection });
  for (let first = 0; first < jobs; first += 1000) {
    const some = Math.min(1000, jobs - first);
    await queue.addBulk(Array.from({ length: some }, (_, n) => ({ name: "call", data: { n: first + n } })));
  }
  await queue.close();
}

if (verb === "add") {
  add(Number(what)).then(() => process.exit(0));
} else {
  const worker = new Worker("bench", (job) => call(`${what}?n=${job.data.n}`),
    { connection, concurrency: Number(concurrency) });
  worker.on("error", (error) => console.error(String(error)));
  worker.waitUntilReady().then(() => console.log("ready"));
}
