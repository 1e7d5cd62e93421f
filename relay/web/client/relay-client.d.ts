/** How a client is connected: over a WebSocket, or over server-sent events and one POST for each message. */
export type Transport = "websocket" | "events";

/** How a connection ended, or why there was none. */
export interface Ending {
  /** Whether there was a connection. Only then messages may have been missed, or lost on their way. */
  opened: boolean;
  /** Of a WebSocket's close frame, or of the last event; 1006 without one. See docs/protocol.md, "Close codes". */
  code: number;
  /** The sentence of the server, or "". */
  reason: string;
  /** Of a request that was refused, where it is known. */
  status?: number;
}

export type State =
  | { name: "connecting" }
  | { name: "open"; transport: Transport }
  /** Lost, or not made; the next attempt is at `until`, in ms of Date.now(). */
  | ({ name: "waiting"; until: number } & Ending)
  /** It stays so until `start` is called again: after `stop`, and where coming back would not help. */
  | ({ name: "closed" } & Ending);

export interface Options {
  /**
   * Takes each message: a string, or an ArrayBuffer for a binary one. `position` is its place in the channel, over events
   * where the channel keeps its messages, else null, as for a message that was not kept.
   */
  onMessage?: (data: string | ArrayBuffer, about: { position: string | null }) => void;
  /** Is told of each new state, once it holds. */
  onState?: (state: State) => void;
  /**
   * Messages may be missing before the next one: load the state anew. `position`, where it isn't null, is the one after
   * which messages go on.
   */
  onMissed?: (position: string | null) => void;
  /**
   * Returns the key or token of now, "" for none, or promises it. It is asked at each attempt to connect, and once more
   * when the server says that a token has expired.
   */
  token?: () => string | Promise<string>;
  /**
   * "auto", the default: a WebSocket, and events where WebSockets don't get through. "websocket" asks for events, too,
   * but only to be told why it was not let in.
   */
  transport?: "auto" | Transport;
  /** Over events: go on behind this position; null: from now on. Over a WebSocket `onMissed` is called instead. */
  since?: string | null;
  /** Longer messages are not sent; any are by default. */
  maxMessageBytes?: number;
  /** How much may wait to be sent, 1 MiB by default. A message alone may be larger. */
  maxBufferedBytes?: number;
  /** That is offered beside a token: "relay" by default. It must be one of RELAY_SUBPROTOCOLS, where that is set. */
  subprotocol?: string;
}

/** A client of one channel. It comes back by itself after each loss that may pass. */
export class RelayClient {
  /**
   * @param url ws://HOST/ws/CHANNEL, wss:, http: or https: likewise, or what leads there from the address of the page.
   *     The name of the channel is percent-encoded.
   * @throws {TypeError} It is no URL, or `transport` is none, or asks for events at another path.
   */
  constructor(url: string | URL, options?: Options);

  /** The state of now. */
  readonly state: State;

  /** Of the newest message over events, to be kept for `since`; null where there is none. */
  readonly position: string | null;

  /** Connects now: for the first time, after `stop`, or instead of waiting on. */
  start(): void;

  /** Closes, and stays closed. */
  stop(): void;

  /**
   * Sends a message.
   * @returns null, or says why it was not sent. What was sent shortly before a loss may not have arrived.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): string | null;

  /** Stays closed after an attempt that has failed: another one would fail, too. */
  giveUp(reason: string, code?: number): void;

  /** Gives up a connection that seems dead, and makes another one: in so many ms, or after the usual pause. */
  renew(reason: string, delay?: number): void;
}

/** Whether to come back after a close code. */
export function comesBack(code: number): boolean;
