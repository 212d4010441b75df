// BullMQ, each job one GET on kept-alive connections; its result is BullMQ's own event.
//
//     node bullmq.js work REDIS_SOCKET URL CONCURRENCY     prints "ready"
//     node bullmq.js add REDIS_SOCKET JOBS
//     node bullmq.js time REDIS_SOCKET JOBS                one after the other, as one_job.c does
"use strict";
const http = require("http");
const { Queue, QueueEvents, Worker } = require("bullmq");

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

// From right before a job is added until its event is heard; prints one line of JSON.
async function time(jobs) {
  const WARM_UP = 50, PAUSE_MS = 2;
  const queue = new Queue("bench", { connection });
  const events = new QueueEvents("bench", { connection });
  const took = [];
  let heard;
  events.on("completed", ({ jobId }) => heard(jobId));
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  for (let n = 0; n < WARM_UP + jobs; n++) {
    const jobId = `one-${n}`;
    const end = new Promise((resolve) => { heard = (id) => { if (id === jobId) resolve(); }; });
    const begin = process.hrtime.bigint();
    await Promise.all([queue.add("call", { n }, { jobId }), end]);
    if (n >= WARM_UP) took.push(Number(process.hrtime.bigint() - begin) / 1000);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  took.sort((a, b) => a - b);
  const share = (part) => Math.round(took[Math.floor(part * (took.length - 1))]);
  console.log(JSON.stringify({ jobs, p50_us: share(0.5), p99_us: share(0.99) }));
}

if (verb === "add") {
  add(Number(what)).then(() => process.exit(0));
} else if (verb === "time") {
  time(Number(what)).then(() => process.exit(0));
} else {
  const worker = new Worker("bench", (job) => call(`${what}?n=${job.data.n}`),
    { connection, concurrency: Number(concurrency) });
  worker.on("error", (error) => console.error(String(error)));
  worker.waitUntilReady().then(() => console.log("ready"));
}
