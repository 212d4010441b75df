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

/** `code` is the job's error code (jobs/README.md), or "refused" when the notifier said no. */
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
  /** Where channels without a path are: the address of the script. */
  export let home: string;
  export { RingbackError as Error };
}

export declare const wait: typeof ringback.wait;
export declare const events: typeof ringback.events;
export default ringback;

declare global {
  interface HTMLElementTagNameMap {
    "ring-back": HTMLElement & { token?: RingbackOptions["token"] };
  }
}
