// What waits to be published: one message after the other, so that they keep their order, also when the client comes back.

import { refusalOf, request } from "./request.js";

const FIRST_PAUSE = 500; // ms; doubles with each try to publish that fails
const LONGEST_PAUSE = 8_000; // ms
const PATIENCE = 30_000; // ms after which a message that can't be published ends the connection
const ANSWER_TIMEOUT = 15_000; // ms

/**
 * options: url; freshToken(), promises another token; maxBufferedBytes.
 */
export class Outbox {
  #options;
  #token = "";
  #onFailed = null;
  #queue = [];
  #bytes = 0;

  constructor(options) {
    this.#options = options;
  }

  // A connection is there, with this token. onFailed(ending): nothing of what waits is sent.
  attach(token, onFailed) {
    this.#token = token;
    this.#onFailed = onFailed;
  }

  // The connection is over. What waits is still sent, as what a WebSocket has taken, but nothing a second time; the client
  // is not told what comes of it, unless there is another connection before.
  detach() {
    this.#onFailed = null;
  }

  // Returns null, or says why nothing will be sent.
  push(data, size) {
    if (this.#bytes + size > Math.max(this.#options.maxBufferedBytes, size)) return "too much is waiting to be sent";
    this.#bytes += size;
    this.#queue.push({ body: typeof data === "string" ? data : copyOf(data), size, key: randomKey() });
    if (this.#queue.length === 1) this.#run();
    return null;
  }

  async #run() {
    while (this.#queue.length > 0) {
      const failure = await this.#publish(this.#queue[0]);
      if (failure !== null) {
        this.#queue = [];
        this.#bytes = 0;
        return this.#onFailed?.(failure);
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
        this.#token = await this.#options.freshToken().catch(() => this.#token);
        continue;
      }
      if (refusal.final) return { ...refusal, code: refusal.status === 413 ? 1009 : 1008 };
      const pause = Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries) + (refusal.retryAfter ?? 0);
      if (this.#onFailed === null || Date.now() + pause - since > PATIENCE) return { ...refusal, code: 1013 };
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  // Returns null, or why the server refuses the message.
  async #post({ body, key }) {
    const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/octet-stream";
    const headers = { "Content-Type": type, "Idempotency-Key": `"${key}"` };
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT);
    const response = await request(this.#options.url, this.#token, { method: "POST", body, headers, signal });
    if (!response.ok) return refusalOf(response, true);
    await response.text(); // else the connection can't be used again
    return null;
  }
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
