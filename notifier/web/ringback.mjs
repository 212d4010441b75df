// ringback.js as a module: import ringback, { enqueue, events, RingbackError } from "/ringback.mjs"
import "./ringback.js";

const { ringback } = globalThis;
if (import.meta.url.startsWith("http")) ringback.home = import.meta.url;

export default ringback;
export const { wait, events } = ringback;
export const enqueue = async (...all) => {
  await import("./ringback-enqueue.js");
  return ringback.enqueue(...all);
};
export const RingbackError = ringback.Error;
