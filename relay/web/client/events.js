// One connection to a channel over HTTP: a stream of server-sent events, and a POST for each message.
//
// The stream is read by `fetch`, because EventSource can set no header and doesn't say why it was refused.

const SILENCE = 75_000; // ms without a byte, after which a stream counts as dead; a gateway says something every 25 s
const LOOK = 5_000; // ms between two looks at the clock
const FIRST_PAUSE = 500; // ms; doubles with each try to publish that fails
const LONGEST_PAUSE = 8_000; // ms
const PATIENCE = 30_000; // ms after which a message that can't be published ends the connection
const ANSWER_TIMEOUT = 15_000; // ms
const HEADER = /^[\x21-\x7e]+$/; // what a header can carry
const LINE_END = /\r\n|\n|\r(?!$)/; // a carriage return at the end may be the first half of an end

// Asking again would not help: the request itself, or a right.
const FINAL = new Set([400, 401, 403, 404, 405, 413, 415, 421]);

/**
 * A link is opened by its constructor, and ends once: by `close`, or by itself, with `onEnd`.
 *
 * options: url, of the stream; publishUrl; token; freshToken(), promises another one; position, to go on behind, or
 *     null; patience, ms until it must be open; maxBufferedBytes.
 * handlers: onOpen(resumed), onMessage(data, position), onPosition(position), onMissed(position),
 *     onEnd({ code, reason, status, retryAfter, final }); the last three of a refusal.
 */
export class EventsLink {
  static transport = "events";
  #options;
  #on;
  #outbox = null;
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
    return this.#outbox.push(data, size);
  }

  close() {
    clearTimeout(this.#timer);
    this.#over = true;
    this.#outbox?.close();
    this.#stop.abort();
  }

  #end(ending) {
    if (this.#over) return;
    this.close();
    this.#on.onEnd(ending);
  }

  // Reads the stream to its end, and returns what that was.
  async #listen() {
    const { url, publishUrl, token, freshToken, position, maxBufferedBytes } = this.#options;
    const response = await fetch(addressFor(url, token), {
      headers: { ...headersFor(token), Accept: "text/event-stream", ...(position && { "Last-Event-ID": position }) },
      cache: "no-store",
      signal: this.#stop.signal,
    });
    if (!response.ok) return { code: 1006, ...(await refusalOf(response)) };
    // Some networks answer everything with a page of their own.
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return { code: 1006, reason: "" };
    if (this.#over) return null;
    clearTimeout(this.#timer);
    this.#outbox = new Outbox({ url: publishUrl, token, freshToken, maxBufferedBytes }, (failure) => this.#end(failure));
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
  // standard tells nobody, has the type "".
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
    this.#event = { type: "", data: [], id };
    return [{ type: data.length === 0 ? "" : type || "message", data: data.join("\n"), id }];
  }
}

// What waits to be published: one message after the other, so that they keep their order.
class Outbox {
  #options;
  #onFailed;
  #queue = [];
  #bytes = 0;
  #closed = false;

  // options: url; token, freshToken, maxBufferedBytes: see EventsLink. onFailed(ending): the rest is not sent.
  constructor(options, onFailed) {
    this.#options = { ...options };
    this.#onFailed = onFailed;
  }

  // Returns null, or says why nothing will be sent.
  push(data, size) {
    if (this.#bytes + size > Math.max(this.#options.maxBufferedBytes, size)) return "too much is waiting to be sent";
    this.#bytes += size;
    this.#queue.push({ body: typeof data === "string" ? data : copyOf(data), size, key: randomKey() });
    if (this.#queue.length === 1) this.#run();
    return null;
  }

  // What waits is still sent, as what a WebSocket has taken; nobody hears what comes of it.
  close() {
    this.#closed = true;
  }

  async #run() {
    while (this.#queue.length > 0) {
      const failure = await this.#publish(this.#queue[0]);
      if (failure !== null) {
        this.#queue = [];
        return this.#closed ? undefined : this.#onFailed(failure);
      }
      this.#bytes -= this.#queue.shift().size;
    }
  }

  // Returns null once a message is published, or how the connection ends. A try that failed is repeated with the key of
  // the message, by which the server knows it: so it isn't published twice.
  async #publish(message) {
    const since = Date.now();
    let renewed = false;
    for (let tries = 0; ; tries += 1) {
      const refusal = await this.#post(message).catch(() => ({ reason: "the server can't be reached" }));
      if (refusal === null) return null;
      if (refusal.status === 401 && !renewed) {
        renewed = true;
        this.#options.token = await this.#options.freshToken().catch(() => this.#options.token);
        continue;
      }
      if (refusal.final) return { ...refusal, code: refusal.status === 413 ? 1009 : 1008 };
      if (this.#closed || Date.now() - since > PATIENCE) return { ...refusal, code: 1013 };
      const pause = Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries);
      await new Promise((resolve) => setTimeout(resolve, Math.max(pause, refusal.retryAfter ?? 0)));
    }
  }

  // Returns null, or why the server refuses the message.
  async #post({ body, key }) {
    const { url, token } = this.#options;
    const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/octet-stream";
    const headers = { ...headersFor(token), "Content-Type": type, "Idempotency-Key": `"${key}"` };
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT);
    const response = await fetch(addressFor(url, token), { method: "POST", body, headers, signal });
    if (!response.ok) return refusalOf(response);
    await response.text(); // else the connection can't be used again
    return null;
  }
}

// Only a token that no header can carry takes the URL, which gets into logs.
function headersFor(token) {
  return token && HEADER.test(token) ? { Authorization: `Bearer ${token}` } : {};
}

function addressFor(url, token) {
  if (!token || HEADER.test(token)) return url;
  const address = new URL(url);
  address.searchParams.set("token", token);
  return address.href;
}

// Returns why a request was refused: { status, reason, retryAfter, final }, with the sentence of the server.
async function refusalOf(response) {
  const reason = (await response.text()).trim();
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  return { status: response.status, reason, retryAfter, final: FINAL.has(response.status) };
}

function textOf(base64) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(base64)); // a mark in front belongs to a message
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// The caller may use its buffer again at once.
function copyOf(data) {
  return ArrayBuffer.isView(data)
    ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
    : data.slice(0);
}

// crypto.randomUUID is for pages with HTTPS alone.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}
