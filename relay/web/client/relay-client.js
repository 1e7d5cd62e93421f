// A client of one channel that does what every client has to do. It runs in pages, workers and Node; see docs/clients.md.
//
//     const client = new RelayClient("wss://relay.example.com/ws/lobby", {
//       onMessage: (data) => console.log(data), // a string, or an ArrayBuffer for a binary message
//       onState: (state) => console.log(state.name, state),
//       token: () => token, // where the server wants a key or token: the one of now, asked for at each attempt
//     });
//     client.start();
//     const problem = client.send("hello"); // null, or why it was not sent

import { addressesOf } from "./addresses.js";
import { EventsLink } from "./events.js";
import { Inquiry } from "./inquiry.js";
import { Outbox } from "./outbox.js";
import { answers } from "./request.js";
import { freshToken } from "./token.js";
import { SocketLink } from "./websocket.js";

const FIRST_DELAY = 500; // ms; doubles with each attempt that fails
const LONGEST_DELAY = 4_000; // ms; a client is back within five seconds of its server
const SHORTEST_DELAY = 100; // ms
const STABLE = 5_000; // ms; a connection that lasted so long makes the next loss a first one again
const CONNECT_TIMEOUT = 10_000; // ms; a browser's own patience is minutes
const FALLBACK_TIMEOUT = 4_000; // ms until WebSockets that neither open nor fail count as kept from getting through
const KNOWN_TIMEOUT = 1_000; // ms likewise, once events have been found to get through where they don't
const DOUBTFUL = 4; // attempts that have failed in a row; from then on only every fourth one is made in any case
const MAX_BUFFERED = 1_048_576; // bytes

// Coming back would not help: the client itself did something that the server doesn't allow.
const OWN_FAULTS = new Set([1002, 1003, 1007, 1008, 1009]);

/** Whether to come back after a close code. A back end that closes clients says by the code whether they may. */
export function comesBack(code) {
  const keptAway = (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
  return !keptAway && !OWN_FAULTS.has(code);
}

/** A client of one channel; its options and states are described in `relay-client.d.ts`. */
export class RelayClient {
  #addresses;
  #links; // the transports, in the order in which an attempt tries them
  #outbox; // of events; it outlives their connections
  #options;
  #attempt = null; // the connection, or the attempt to make one
  #failures = 0; // in a row
  #timer = 0;
  #hurries = false; // whether a wait may be cut short
  #state = { name: "closed", opened: false, code: 1000, reason: "" };
  #position;
  #begun; // whether there is something that can have been missed
  #socketWorks = null; // null: never seen; false: it neither opened nor failed
  #expired = null; // the token that was refused or ended last, and how

  constructor(
    url,
    {
      onMessage = () => {},
      onState = () => {},
      onMissed = () => {},
      token = null,
      transport = "auto",
      since = null,
      maxMessageBytes = Infinity,
      maxBufferedBytes = MAX_BUFFERED,
      subprotocol = "relay",
    } = {},
  ) {
    this.#options = { onMessage, onState, onMissed, token, maxMessageBytes, maxBufferedBytes, subprotocol };
    this.#addresses = addressesOf(url);
    this.#links = this.#transports(transport);
    this.#outbox = new Outbox({ url: this.#addresses.publish, freshToken: () => freshToken(token), maxBufferedBytes });
    this.#position = since || null; // "" names no place
    this.#begun = this.#position !== null;
  }

  get state() {
    return this.#state;
  }

  /** Of the newest message that was heard over events; null where messages have none. */
  get position() {
    return this.#position;
  }

  /** Connect now: for the first time, after `stop`, or instead of waiting on. */
  start() {
    if (this.#attempt !== null) return;
    this.#expired = null;
    this.#watch(true);
    this.#connect();
  }

  /** Close, and stay closed. */
  stop() {
    const running = this.#state.name !== "closed";
    const opened = this.#attempt?.opened ?? false;
    this.#leave(1000);
    if (running) this.#close({ opened, code: 1000, reason: "" });
  }

  /** Stay closed after an attempt that has failed: another one would fail, too. */
  giveUp(reason, code = 1006) {
    this.#leave();
    this.#close({ opened: false, code, reason });
  }

  /** Give up a connection that seems dead, and make another one: in so many ms, or after the usual pause. */
  renew(reason, delay = undefined) {
    if (this.#attempt === null) return;
    const { opened } = this.#attempt;
    this.#leave();
    this.#wait({ opened, code: 1006, reason }, delay);
  }

  /** Send a string, an ArrayBuffer or a view of one. Returns null, or says why nothing was sent. */
  send(data) {
    if (this.#state.name !== "open") return "not connected";
    const size = byteLength(data);
    const most = this.#options.maxMessageBytes;
    if (size > most) return `${size} bytes are more than the ${most} that are allowed`;
    return this.#attempt.link.send(data, size);
  }

  #transports(transport) {
    const { events } = this.#addresses;
    if (!["auto", "websocket", "events"].includes(transport)) throw new TypeError(`no transport: ${transport}`);
    if (transport === "events" && events === null) throw new TypeError("events need an address of the form …/ws/CHANNEL");
    if (transport === "events") return [EventsLink];
    if (events === null) return [SocketLink];
    return [SocketLink, transport === "auto" ? EventsLink : Inquiry];
  }

  // Connecting

  async #connect() {
    clearTimeout(this.#timer);
    const attempt = { Link: null, link: null, opened: false, late: false, stable: 0, token: "" };
    this.#attempt = attempt;
    this.#tell({ name: "connecting" });
    if (this.#doubtful && !(await answers(this.#addresses.any, CONNECT_TIMEOUT))) {
      return this.#ended(attempt, { code: 1006, reason: "" });
    }
    if (attempt !== this.#attempt) return;
    try {
      attempt.token = await freshToken(this.#options.token);
    } catch (error) {
      return this.#ended(attempt, { code: 1006, reason: `no token: ${error?.message ?? error}` });
    }
    if (attempt !== this.#attempt) return;
    if (attempt.token === this.#expired?.token) return this.#ended(attempt, { ...this.#expired.ending, final: true });
    this.#open(attempt, this.#links);
  }

  // Whether to ask first if there is a server: after a dozen WebSockets that failed Chromium lets each new one wait for up
  // to five seconds. What a plain request meets, such as a policy of the page, need not be met by a WebSocket: so its
  // failure keeps the client from three attempts in a row at most.
  get #doubtful() {
    return this.#links[0] === SocketLink && this.#failures > DOUBTFUL && this.#failures % DOUBTFUL !== 0;
  }

  #open(attempt, [Link, ...others]) {
    const options = {
      url: this.#addresses[Link.transport],
      token: attempt.token,
      position: this.#position,
      outbox: this.#outbox,
      worked: this.#socketWorks === true,
      known: Link === this.#links[0],
      patience: this.#patience(Link),
      subprotocol: this.#options.subprotocol,
      maxBufferedBytes: this.#options.maxBufferedBytes,
    };
    const current = () => attempt === this.#attempt && Link === attempt.Link;
    attempt.Link = Link;
    try {
      attempt.link = new Link(options, {
        onOpen: (resumed) => current() && this.#opened(attempt, resumed),
        onMessage: (data, position) => current() && this.#call("onMessage", data, { position }),
        onPosition: (position) => current() && (this.#position = position),
        onMissed: (position) => current() && this.#call("onMissed", position),
        onEnd: (ending) => {
          if (!current()) return;
          attempt.late ||= ending.late === true;
          if (!attempt.opened && others.length > 0 && this.#fallsBack()) this.#open(attempt, others);
          else this.#ended(attempt, ending);
        },
      });
    } catch (error) {
      // As for an address without TLS in a page that has it: that stays so.
      this.#ended(attempt, { code: 1006, reason: error.message, final: true });
    }
  }

  #patience(Link) {
    if (Link !== SocketLink || !this.#links.includes(EventsLink)) return CONNECT_TIMEOUT;
    return this.#socketWorks === false ? KNOWN_TIMEOUT : FALLBACK_TIMEOUT;
  }

  // Where WebSockets have worked, one that can't be made is rather a server that restarts: the second says more.
  #fallsBack() {
    return this.#socketWorks !== true || this.#failures > 1;
  }

  #opened(attempt, resumed) {
    const { transport } = attempt.Link;
    attempt.opened = true;
    // Not at once: a server that accepts and drops would be asked again and again without a pause.
    attempt.stable = setTimeout(() => {
      this.#failures = 0;
      this.#expired = null;
    }, STABLE);
    if (transport === "websocket") {
      this.#socketWorks = true;
      this.#position = null; // what comes now has none, and must not come again
    } else if (attempt.late) {
      this.#socketWorks ??= false;
    }
    const missed = this.#begun && !resumed;
    this.#begun = true;
    this.#tell({ name: "open", transport });
    if (missed && attempt === this.#attempt) this.#call("onMissed", null);
  }

  #ended(attempt, { code, reason, status, retryAfter, final = !comesBack(code) }) {
    if (attempt !== this.#attempt) return;
    this.#leave();
    const ending = { opened: attempt.opened, code, reason, ...(status && { status }) };
    const expired = (status === 401 && final) || (code === 1008 && reason === "token expired");
    if (expired && this.#options.token !== null && (attempt.opened || this.#expired === null)) {
      this.#expired = { token: attempt.token, ending: { code, reason, status } };
      this.#wait(ending);
    } else if (final) {
      this.#close(ending);
    } else {
      this.#wait(ending, retryAfter === undefined ? undefined : retryAfter + this.#pause);
    }
  }

  // Exponential, so that a server in trouble has peace; random all the way, so that its clients don't come back together.
  get #pause() {
    const ceiling = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures);
    return Math.max(SHORTEST_DELAY, Math.random() * ceiling);
  }

  #wait(loss, wanted) {
    const delay = wanted ?? this.#pause;
    this.#failures += 1;
    this.#hurries = wanted === undefined;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#tell({ name: "waiting", until: Date.now() + delay, ...loss });
  }

  // The network is back, or the user looks at the page: don't wait until the end.
  #hurry = ({ type }) => {
    if (type === "visibilitychange" && document.visibilityState === "hidden") return;
    if (this.#state.name === "waiting" && this.#hurries) this.#connect();
  };

  // Workers have no `document`, and Node has no events of its own.
  #watch(on) {
    const change = on ? "addEventListener" : "removeEventListener";
    for (const event of ["online", "focus"]) globalThis[change]?.(event, this.#hurry);
    globalThis.document?.[change]("visibilitychange", this.#hurry);
  }

  #leave(code) {
    clearTimeout(this.#timer);
    const attempt = this.#attempt;
    this.#attempt = null;
    clearTimeout(attempt?.stable);
    attempt?.link?.close(code);
  }

  #close(ending) {
    this.#watch(false);
    this.#tell({ name: "closed", ...ending });
  }

  #tell(state) {
    this.#state = state;
    this.#call("onState", state);
  }

  // A fault of the application is its own: the connection goes on.
  #call(name, ...told) {
    try {
      this.#options[name](...told);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

// How many bytes a message has on the wire; a string is sent as UTF-8.
function byteLength(data) {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
}
