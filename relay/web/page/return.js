// When a client that lost its connection tries again: sooner than a program would, since a person is looking.

const LONGEST = 5_000; // ms
const SHORTEST = 3_000; // ms; between the two, so that the pages of a room don't come back all together

export class Return {
  #client = null;
  #cut = false;
  #at = Infinity; // ms of Date.now()

  // Follow another client.
  follow(client) {
    this.#client = client;
    this.#cut = false;
  }

  // Take the network away from the client for so many ms.
  cut(ms) {
    this.#cut = true;
    this.#client.renew("you cut the network", ms);
  }

  // state: the client's new one.
  changed(state) {
    if (state.name !== "waiting") {
      if (state.name !== "connecting") this.#cut = false;
      return;
    }
    const latest = Date.now() + SHORTEST + Math.random() * (LONGEST - SHORTEST);
    this.#at = this.#cut ? state.until : Math.min(state.until, latest);
  }

  // How many ms the client still waits.
  get remaining() {
    return this.#at - Date.now();
  }

  // Try now if it is time. To be called again and again.
  look() {
    if (this.#client?.state.name === "waiting" && this.remaining <= 0) this.#client.start();
  }

  // Try now: somebody looks at the page again, or the network is back. A network that was cut stays so.
  hurry() {
    if (this.#client?.state.name === "waiting" && !this.#cut) this.#client.start();
  }
}
