// One connection to a channel over HTTP: a stream of server-sent events, and a POST for each message.
//
// The stream is read by `fetch`, because EventSource can set no header and doesn't say why it was refused.

import { refusalOf, request } from "./request.js";

const SILENCE = 75_000; // ms without a byte, after which a stream counts as dead; a gateway says something every 25 s
const LOOK = 5_000; // ms between two looks at the clock
const LINE_END = /\r\n|\n|\r(?!$)/; // a carriage return at the end may be the first half of an end

/**
 * A link is opened by its constructor, and ends once: by `close`, or by itself, with `onEnd`.
 *
 * options: url, of the stream; token; position, to go on behind, or null; patience, ms until it must be open; outbox,
 *     by which it sends; known, whether the address is one of the relay for certain.
 * handlers: onOpen(resumed), onMessage(data, position), onPosition(position), onMissed(position),
 *     onEnd({ code, reason, status, retryAfter, final }); the last three of a refusal.
 */
export class EventsLink {
  static transport = "events";
  #options;
  #on;
  #heardAt = Date.now();
  #timer = 0;
  #over = false;
  #stop = new AbortController();

  constructor(options, handlers) {
    this.#options = options;
    this.#on = handlers;
    this.#timer = setTimeout(() => this.#end({ code: 1006, reason: "" }), options.patience);
    this.#listen().then(
      (ending) => this.#end(ending),
      () => this.#end({ code: 1006, reason: "" }),
    );
  }

  // Returns null, or says why nothing will be sent.
  send(data, size) {
    return this.#options.outbox.push(data, size);
  }

  close() {
    clearTimeout(this.#timer);
    this.#over = true;
    this.#options.outbox.detach();
    this.#stop.abort();
  }

  #end(ending) {
    if (this.#over) return;
    this.close();
    this.#on.onEnd(ending);
  }

  // Reads the stream to its end, and returns what that was.
  async #listen() {
    const { url, token, position, outbox, known } = this.#options;
    const response = await request(url, token, {
      headers: { Accept: "text/event-stream", ...(position && { "Last-Event-ID": position }) },
      signal: this.#stop.signal,
    });
    if (!response.ok) return { code: 1006, ...(await refusalOf(response, known)) };
    // Some networks answer everything with a page of their own.
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return { code: 1006, reason: "" };
    if (this.#over) return null;
    clearTimeout(this.#timer);
    outbox.attach(token, (failure) => this.#end(failure));
    this.#watch();
    this.#on.onOpen(position !== null);
    return this.#read(response.body.getReader());
  }

  async #read(pieces) {
    const decoder = new TextDecoder();
    const reader = new EventReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return { code: 1006, reason: "" };
      this.#heardAt = Date.now();
      for (const event of reader.read(decoder.decode(value, { stream: true }))) {
        if (this.#over) return null;
        if (event.id) this.#on.onPosition(event.id);
        if (event.type === "close") return JSON.parse(event.data);
        this.#tell(event);
      }
    }
  }

  #tell({ type, data, id }) {
    if (type === "message") this.#on.onMessage(data, id || null);
    else if (type === "text") this.#on.onMessage(textOf(data), id || null);
    else if (type === "binary") this.#on.onMessage(bytesOf(data).buffer, id || null);
    else if (type === "missed") this.#on.onMissed(JSON.parse(data).position);
  }

  // By the clock: the timers of a machine that slept go on where they were.
  #watch() {
    const look = () => {
      if (Date.now() - this.#heardAt > SILENCE) this.#end({ code: 1006, reason: "nothing heard" });
      else this.#timer = setTimeout(look, LOOK);
    };
    look();
  }
}

// Reads a stream of server-sent events (HTML standard, section 9.2.6).
export class EventReader {
  #rest = "";
  #event = { type: "", data: [], id: "" };

  // Takes a piece of a stream. Returns the events that it completes: { type, data, id }. One with an id alone, which the
  // standard passes on to no listener, has the type "". `id` is "" where an event has none of its own: it has no position then.
  read(piece) {
    const lines = (this.#rest + piece).split(LINE_END);
    this.#rest = lines.pop();
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line) {
    if (line === "") return this.#complete();
    const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (name === "data") this.#event.data.push(value);
    else if (name === "event") this.#event.type = value;
    else if (name === "id" && !value.includes("\0")) this.#event.id = value;
    return [];
  }

  #complete() {
    const { type, data, id } = this.#event;
    this.#event = { type: "", data: [], id: "" };
    return [{ type: data.length === 0 ? "" : type || "message", data: data.join("\n"), id }];
  }
}

function textOf(base64) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(base64)); // a mark in front belongs to a message
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
