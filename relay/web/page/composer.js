// What one client sends: texts, files, and texts that repeat; and which of them are not back yet.

import { encode, uniquePrefix } from "./message.js";

const ON_THEIR_WAY = 1_000; // own messages that may be out at once

export class Composer {
  client = null; // through which it sends; null: there is none yet
  #part;
  #most;
  #name;
  #ownIds = uniquePrefix();
  #sent = 0;
  #onTheirWay = new Map(); // id → when it was sent
  #repeatTimer = 0;
  #unconnected = false; // whether what is said is about the connection

  // part: the parts of the panel. most: bytes of a message. name: tells under which name it writes.
  constructor(part, { most, name }) {
    this.#part = part;
    this.#most = most;
    this.#name = name;
    part.composer.addEventListener("submit", (event) => this.#sendAsked(event));
    part.text.addEventListener("keydown", (event) => this.#typed(event));
    part.files.addEventListener("change", () => this.#sendFiles());
    part.repeat.addEventListener("change", () => this.#repeat());
  }

  // How many own messages are on their way.
  get waiting() {
    return this.#onTheirWay.size;
  }

  // When the oldest of these was sent; undefined: none is on its way.
  get oldest() {
    return this.#onTheirWay.values().next().value;
  }

  // Returns when the own message of an id was sent, which is back now; undefined: it is none.
  back(id) {
    const sentAt = this.#onTheirWay.get(id);
    this.#onTheirWay.delete(id);
    return sentAt;
  }

  // The server has refused the own message of an id.
  refused(id, reason) {
    this.#onTheirWay.delete(id);
    this.#explain(reason);
  }

  // What was on its way won't come back.
  forget() {
    this.#onTheirWay.clear();
  }

  // The connection has another state: what was said of it is no longer so.
  connectionChanged() {
    if (this.#unconnected) this.say("");
  }

  // Says below the text what is wrong; "": nothing.
  say(text) {
    this.#unconnected = false;
    if (this.#part.note.textContent !== text) this.#part.note.textContent = text;
  }

  close() {
    clearInterval(this.#repeatTimer);
  }

  #typed(event) {
    // Enter also ends the composing of a character, in Japanese and elsewhere.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#part.composer.requestSubmit();
  }

  #sendAsked(event) {
    event.preventDefault();
    const text = this.#part.text.value;
    if (text.trim() === "") return;
    this.say("");
    // What couldn't be sent stays where it can be sent again.
    if (this.#sendText(text)) this.#part.text.value = "";
  }

  async #sendFiles() {
    const files = [...this.#part.files.files];
    this.#part.files.value = "";
    this.say("");
    for (const file of files) {
      if (file.size > this.#most) {
        const most = this.#most.toLocaleString("en");
        this.say(`${file.name} has ${file.size.toLocaleString("en")} bytes; this server takes up to ${most}.`);
        continue;
      }
      const client = this.client;
      const data = await file.arrayBuffer().catch(() => null);
      if (data === null) this.say(`${file.name} can't be read.`);
      // The channel may have been left while the file was read.
      else if (client === this.client) this.#sendFile(file.name, data);
    }
  }

  // The bytes go as they are. Before them goes a text that says whose they are.
  #sendFile(file, data) {
    if (!this.#sendText(`sends ${file}`, { file, bytes: data.byteLength })) return;
    const problem = this.client.send(data);
    this.#explain(problem === null ? null : `${file}, ${problem}`);
  }

  #sendText(text, announcement = {}) {
    if (this.waiting >= ON_THEIR_WAY) return this.#explain("a thousand messages are on their way");
    const id = `${this.#ownIds}${(this.#sent += 1)}`;
    const message = encode({ name: this.#name() || "anonymous", text, id, ...announcement });
    const problem = this.client === null ? "not connected" : this.client.send(message);
    if (problem === null) this.#onTheirWay.set(id, performance.now());
    return this.#explain(problem);
  }

  #repeat() {
    clearInterval(this.#repeatTimer);
    const perSecond = Number(this.#part.repeat.value);
    let number = 0;
    if (perSecond === 0) return;
    let complaint = "";
    this.#repeatTimer = setInterval(() => {
      if (this.client?.state.name !== "open") return;
      const sent = this.#sendText(`number ${(number += 1)}`);
      // Its own complaint is over when it gets through again; any other is for a person to read, who is slower.
      if (!sent) complaint = this.#part.note.textContent;
      else if (this.#part.note.textContent === complaint) this.say("");
    }, 1000 / perSecond);
  }

  #explain(problem) {
    if (problem !== null) this.say(`Not sent: ${problem}.`);
    this.#unconnected ||= problem !== null && this.client?.state.name !== "open";
    return problem === null;
  }
}
