// Why a WebSocket was never open: a browser tells a page nothing of the answer.

import { refusalOf, request } from "./request.js";

/**
 * A link that is never open: it asks for the events of the channel, which are refused for the same reasons.
 *
 * options: url, of the stream; token; patience, ms until there must be an answer; worked, whether WebSockets have been
 *     open: then a refusal is told, but not final, as it may be that of another program on the same host.
 * handlers: onEnd({ code, reason, status, retryAfter, final }); the last three of a refusal.
 */
export class Inquiry {
  static transport = "events";
  #over = false;
  #stop = new AbortController();
  #timer = 0;

  constructor({ url, token, patience, worked }, { onEnd }) {
    this.#timer = setTimeout(() => this.#stop.abort(), patience);
    const end = (refusal) => {
      if (this.#over) return;
      this.close();
      onEnd({ code: 1006, reason: "", ...refusal, final: refusal.final === true && !worked });
    };
    this.#ask(url, token).then(end, () => end({}));
  }

  close() {
    clearTimeout(this.#timer);
    this.#over = true;
    this.#stop.abort(); // the stream, too
  }

  async #ask(url, token) {
    const response = await request(url, token, { headers: { Accept: "text/event-stream" }, signal: this.#stop.signal });
    return response.ok ? {} : refusalOf(response, false);
  }
}
