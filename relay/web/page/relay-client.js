// A WebSocket client without a library, that does what every client has to do. Made to be copied.
//
//     const client = new RelayClient("ws://localhost:8000/ws/lobby", {
//       onMessage: (data) => console.log(data), // a string, or an ArrayBuffer for a binary message
//       onState: (state) => console.log(state.name, state),
//       token: () => token, // where the server wants a key or token: the one of now, asked for at each attempt
//     });
//     client.start();
//     const problem = client.send("hello"); // null, or why it was not sent
//
// States:
//     { name: "connecting" }
//     { name: "open" }
//     { name: "waiting", until, opened, code, reason }   lost; the next attempt is at `until`, in ms of Date.now().
//                                                        Messages of the time between are missed, and after 1012
//                                                        "messages missed" some before it may be, too: fetch anew
//                                                        what must be whole
//     { name: "closed", opened, code, reason }           it stays so until `start` is called again: after `stop`, and
//                                                        after a code with which the server keeps it away; see below.
//                                                        After 1008 "token expired" get a new token, then `start`

const FIRST_DELAY = 500; // ms; doubles with each attempt that fails
const LONGEST_DELAY = 30_000; // ms
const SHORTEST_DELAY = 100; // ms
const STABLE = 5_000; // ms; a connection that lasted so long makes the next loss a first one again
const CONNECT_TIMEOUT = 10_000; // ms; a browser's own patience is minutes
const MAX_BUFFERED = 1_048_576; // bytes that may wait in the browser
const SUBPROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // characters that the name of a subprotocol may have

// Coming back would not help: the client itself did something that the server doesn't allow.
const OWN_FAULTS = new Set([1002, 1003, 1007, 1008, 1009]);

// Whether to come back after a close code. A back end that closes clients says by the code whether they may.
export function comesBack(code) {
  const keptAway = (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
  return !keptAway && !OWN_FAULTS.has(code);
}

export class RelayClient {
  #url;
  #onState;
  #onMessage;
  #maxMessageBytes;
  #token;
  #subprotocol;
  #socket = null;
  #attempts = 0;
  #timer = 0;
  #state = { name: "closed", opened: false, code: 1000, reason: "" };

  constructor(
    url,
    { onState = () => {}, onMessage = () => {}, maxMessageBytes = Infinity, token = () => "", subprotocol = "relay" } = {},
  ) {
    this.#url = url;
    this.#token = token;
    this.#subprotocol = subprotocol;
    this.#onState = onState;
    this.#onMessage = onMessage;
    this.#maxMessageBytes = maxMessageBytes;
  }

  get state() {
    return this.#state;
  }

  // Connect now: for the first time, after `stop`, or instead of waiting on.
  start() {
    if (this.#socket !== null) return;
    window.addEventListener("online", this.#hurry);
    this.#connect();
  }

  // Close, and stay closed.
  stop() {
    window.removeEventListener("online", this.#hurry);
    this.#leave(1000);
    if (this.#state.name !== "closed") this.#tell({ name: "closed", opened: true, code: 1000, reason: "" });
  }

  // Stay closed after an attempt that has failed: another one would fail, too.
  giveUp(reason, code = 1006) {
    window.removeEventListener("online", this.#hurry);
    this.#leave();
    this.#tell({ name: "closed", opened: false, code, reason });
  }

  // Give up a connection that seems dead, and make another one: in so many ms, or after the usual pause.
  renew(reason, delay = undefined) {
    if (this.#socket === null) return;
    this.#leave();
    this.#wait({ opened: true, code: 1006, reason }, delay);
  }

  // Send a string or an ArrayBuffer. Returns null, or says why nothing was sent.
  send(data) {
    // Before `onopen` a socket's send() throws; after its end it drops what it is given, without a word.
    if (this.#socket?.readyState !== WebSocket.OPEN) return "not connected";
    const size = byteLength(data);
    const most = this.#maxMessageBytes;
    if (size > most) return `${size} bytes are more than the ${most} that are allowed`;
    // send() never blocks: what the network doesn't take piles up in memory, unless somebody looks.
    if (this.#socket.bufferedAmount + size > Math.max(MAX_BUFFERED, size)) return "too much is waiting to be sent";
    this.#socket.send(data);
    return null;
  }

  #connect() {
    clearTimeout(this.#timer);
    const socket = this.#open();
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let opened = false;
    let stable = 0;
    const impatience = setTimeout(() => socket.close(), CONNECT_TIMEOUT);

    // Events of a socket that was given up may still arrive: each handler asks whether it is about this one.
    socket.onopen = () => {
      clearTimeout(impatience);
      if (socket !== this.#socket) return;
      opened = true;
      // Not at once: a server that accepts and drops would be asked again and again without a pause.
      stable = setTimeout(() => (this.#attempts = 0), STABLE);
      this.#tell({ name: "open" });
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#onMessage(event.data);
    };
    // A browser doesn't say what went wrong, and `onclose` always follows: there is nothing to do here.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => {
      clearTimeout(impatience);
      clearTimeout(stable);
      if (socket !== this.#socket) return;
      this.#socket = null;
      if (comesBack(code)) {
        this.#wait({ opened, code, reason });
      } else {
        window.removeEventListener("online", this.#hurry);
        this.#tell({ name: "closed", opened, code, reason });
      }
    };
    this.#tell({ name: "connecting" });
  }

  // A page can set no header of a WebSocket, and URLs get into logs: so the token goes where subprotocols do, beside a
  // true one, which is the one that the server answers with. Only a token with other characters takes the URL.
  #open() {
    const token = this.#token();
    if (!token) return new WebSocket(this.#url);
    if (SUBPROTOCOL.test(token)) return new WebSocket(this.#url, [this.#subprotocol, `bearer.${token}`]);
    const url = new URL(this.#url);
    url.searchParams.set("token", token);
    return new WebSocket(url);
  }

  // Exponential, so that a server in trouble has peace; random, so that its clients don't come back all together.
  #wait(loss, wanted) {
    const ceiling = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#attempts);
    const delay = wanted ?? Math.max(SHORTEST_DELAY, Math.random() * ceiling);
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#tell({ name: "waiting", until: Date.now() + delay, ...loss });
  }

  // The network is back: don't wait until the end.
  #hurry = () => {
    if (this.#state.name === "waiting") this.#connect();
  };

  #leave(code) {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code);
  }

  #tell(state) {
    this.#state = state;
    this.#onState(state);
  }
}

// How many bytes a message has on the wire; a string is sent as UTF-8.
function byteLength(data) {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
}
