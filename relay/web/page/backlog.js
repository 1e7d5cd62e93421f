// What has arrived and is not on the screen yet. Bounded: then the oldest are left out, and counted.

export class Backlog {
  #entries = [];
  #bytes = 0;
  #most;
  #mostBytes;
  leftOut = 0;

  constructor(most, mostBytes) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get length() {
    return this.#entries.length;
  }

  // Take an entry of about `bytes` bytes.
  push(entry, bytes) {
    this.#entries.push({ entry, bytes });
    this.#bytes += bytes;
    while (this.#entries.length > this.#most || (this.#bytes > this.#mostBytes && this.#entries.length > 1)) {
      this.#bytes -= this.#entries.shift().bytes;
      this.leftOut += 1;
    }
  }

  // Return the oldest entries, at most `count`.
  take(count) {
    const taken = this.#entries.splice(0, count);
    for (const { bytes } of taken) this.#bytes -= bytes;
    return taken.map(({ entry }) => entry);
  }

  clear() {
    this.#entries = [];
    this.#bytes = 0;
    this.leftOut = 0;
  }
}
