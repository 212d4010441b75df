/** What came on a channel. An app's own PUBLISH that is no event comes as `message`. */
export interface RingbackEvent<T = unknown> {
  /** The cursor of this event; raw messages have none. */
  id?: string;
  channel?: string;
  event: "started" | "retrying" | "partial" | "done" | "failed" | "gap" | "message" | (string & {});
  job?: string;
  service?: string;
  /** Milliseconds since 1970. */
  at?: number;
  data?: T;
  /** Where a result lies that is too large for its channel. */
  link?: string;
  error?: { code: string; message: string; status?: number };
  /** `retrying`: how many calls were made, and milliseconds until the next. */
  attempt?: number;
  delay?: number;
  /** `partial`: which of how many answers. */
  part?: string;
  parts?: number;
}

export interface RingbackOptions {
  /** Ends the waiting; the promise rejects with its reason. */
  signal?: AbortSignal;
  /** A cursor: what came up to it is not told again. */
  since?: string;
  /** A token, or a function that makes one: called at each connection and before one ends. */
  token?: string | (() => string | Promise<string>);
  /** As in fetch(); "include" sends cookies to a notifier of another origin. */
  credentials?: RequestCredentials;
  /** false: a connection of its own, not the one that the page's others share. */
  shared?: boolean;
}

export interface RingbackWaitOptions extends RingbackOptions {
  onEvent?: (event: RingbackEvent) => void;
  /** Only this job's end counts; otherwise the first one on the channel. */
  job?: string;
}

/** What a page may say of a job (notifier/README.md, "Jobs over the socket"). */
export interface RingbackJob {
  service: string;
  params?: Record<string, unknown>;
  /** The same again makes no second result; one is made where it is missing. Not with `channel`. */
  id?: string;
  /** Where the events go, when not to the page alone. */
  channel?: string;
  /** Milliseconds since 1970: after this nobody waits any more. */
  expires?: number;
}

export interface RingbackEnqueueOptions extends Pick<RingbackOptions, "signal" | "token" | "credentials"> {
  /** Called with the job's events; the first is `enqueued`, with its `job` and `channel`. */
  onEvent?: (event: RingbackEvent) => void;
  /** The notifier's address; default: where the script came from. */
  notifier?: string;
}

/** `code` is the job's error code (jobs/README.md), "refused" when the notifier said no, or of a
 * job that was not queued why not (notifier/README.md). */
export declare class RingbackError extends Error {
  code: string;
  /** The HTTP status: the service's, or with "refused" the notifier's. */
  status?: number;
  event?: RingbackEvent;
}

declare function ringback<T = unknown>(where: string, options?: RingbackWaitOptions): Promise<T>;

declare namespace ringback {
  export function wait<T = unknown>(where: string, options?: RingbackWaitOptions): Promise<T>;
  export function events(where: string, options?: RingbackOptions): AsyncGenerator<RingbackEvent, never, void>;
  /** Asks for a job and waits for its result: needs ringback-enqueue.js. */
  export function enqueue<T = unknown>(job: RingbackJob, options?: RingbackEnqueueOptions): Promise<T>;
  /** Where channels without a path are: the address of the script. */
  export let home: string;
  export { RingbackError as Error };
}

export declare const wait: typeof ringback.wait;
export declare const events: typeof ringback.events;
export declare const enqueue: typeof ringback.enqueue;
export default ringback;

declare global {
  interface HTMLElementTagNameMap {
    "ring-back": HTMLElement & { token?: RingbackOptions["token"] };
  }
}
