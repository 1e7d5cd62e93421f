// One client: its connection, its messages, and what it sends.

import { credential, refusal, tokenProblem } from "./access.js";
import { Attachments } from "./attachments.js";
import { Latency } from "./latency.js";
import { Log } from "./log.js";
import { channelPath, channelProblem, decode, encode, serverUrl, uniquePrefix } from "./message.js";
import { RelayClient } from "./relay-client.js";
import { ending, plural, size } from "./words.js";

const TICK = 250; // ms between two looks at the clock
const LATE = 1_000; // ms after which it is said that own messages are not back
const NO_ANSWER = 15_000; // ms until a connection on which nothing comes back counts as dead
const ON_THEIR_WAY = 1_000; // own messages that may be out at once
const ANNOUNCED = 16; // files whose binary message hasn't come yet
const STATES = { connecting: "Connecting", open: "Open", waiting: "Reconnecting", closed: "Closed" };

export class Panel {
  #part;
  #server;
  #onChannel;
  #channel = "";
  #token = "";
  #client = null;
  #log;
  #latency;
  #ownIds = uniquePrefix();
  #sent = 0;
  #onTheirWay = new Map(); // id → when it was sent
  #announced = []; // { name, file, bytes, mine }
  #arrived = 0; // messages since the rate was last worked out
  #heardAt = 0;
  #ratedAt = performance.now();
  #repeatTimer = 0;
  #hadOpened = false;
  #ticker;

  // root: a clone of the template. server: what this server allows. title: of the panel. onChannel: told of a new one.
  constructor(root, { server, title, onChannel = () => {} }) {
    this.root = root;
    this.#server = server;
    this.#onChannel = onChannel;
    this.#part = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    const part = this.#part;
    root.setAttribute("aria-label", title);
    part.title.textContent = title;
    part.credential.textContent = credential(server.auth);
    part.credential.parentElement.hidden = server.auth === "none";
    part.limit.textContent = `up to ${size(server.max_message_bytes)} a message`;
    this.#log = new Log(part.log, part.latest, new Attachments());
    this.#latency = new Latency({ chart: part.chart, scale: part.scale, caption: part.latency });
    part.join.addEventListener("submit", (event) => this.#joinAsked(event));
    part.composer.addEventListener("submit", (event) => this.#sendAsked(event));
    part.text.addEventListener("keydown", (event) => this.#typed(event));
    part.files.addEventListener("change", () => this.#sendFiles());
    part.repeat.addEventListener("change", () => this.#repeat());
    part.switch.addEventListener("click", () => (this.#running ? this.#client.stop() : this.#client?.start()));
    part.now.addEventListener("click", () => this.#client.start());
    this.#ticker = setInterval(() => this.#tick(), TICK);
    this.#latency.draw();
  }

  get name() {
    return this.#part.name.value.trim();
  }

  set name(name) {
    this.#part.name.value = name;
  }

  get channel() {
    return this.#channel;
  }

  // With which the client comes in; one that was put into the field counts from the next `join` on.
  get token() {
    return this.#part.token.value.trim();
  }

  set token(token) {
    this.#part.token.value = token;
  }

  // Leave the channel and go to another one. Says what is wrong with its name, and stays, when something is.
  join(channel) {
    const problem = channelProblem(channel) ?? tokenProblem(this.token);
    this.#say(problem ?? "");
    if (problem !== null) return false;
    this.#part.channel.value = channel;
    this.#client?.stop();
    this.#channel = channel;
    this.#token = this.token;
    this.#hadOpened = false;
    this.#forget();
    this.#log.clear();
    this.#latency.clear();
    this.#latency.draw();
    const address = serverUrl(`ws/${channelPath(channel)}?echo=1`);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#part.address.textContent = address.href;
    this.#client = new RelayClient(address.href, {
      token: () => this.#token,
      subprotocol: this.#server.subprotocol,
      maxMessageBytes: this.#server.max_message_bytes,
      onState: (state) => this.#stateChanged(state),
      onMessage: (data) => this.#received(data),
    });
    this.#client.start();
    this.#onChannel(channel);
    return true;
  }

  // End, and free what is kept.
  close() {
    clearInterval(this.#ticker);
    clearInterval(this.#repeatTimer);
    this.#client?.stop();
    this.#log.clear();
    this.root.remove();
  }

  focus() {
    this.#part.text.focus();
  }

  get #running() {
    return this.#client !== null && this.#client.state.name !== "closed";
  }

  // Connection

  #stateChanged(state) {
    const part = this.#part;
    const open = state.name === "open";
    this.root.dataset.state = state.name;
    part.state.textContent = STATES[state.name];
    part.loss.textContent = "code" in state ? ending(state) : "";
    part.countdown.textContent = "";
    part.switch.textContent = this.#running ? "Disconnect" : "Connect";
    part.now.hidden = state.name !== "waiting";
    part.send.disabled = !open;
    if (open) {
      const again = "Back again; what was said meanwhile is missed";
      this.#log.remark(this.#hadOpened ? again : `Listening to ${this.#channel}`);
      this.#hadOpened = true;
      this.#heardAt = performance.now();
    } else if (state.opened) {
      const unknown = this.#onTheirWay.size + this.#announced.filter(({ mine }) => mine).length;
      this.#log.remark(`${state.name === "closed" ? "Closed" : "Connection lost"}: ${ending(state)}`);
      const lost = `${plural(unknown, "message")} of yours did not come back: perhaps not delivered`;
      if (unknown > 0) this.#log.remark(lost);
      this.#forget();
    } else if (state.name === "waiting") {
      this.#askWhy(this.#client);
    }
    this.#tick();
  }

  // Say why a client was not let in; trying again is for what may pass.
  async #askWhy(client) {
    const found = await refusal(serverUrl(`sse/${channelPath(this.#channel)}`), this.#token);
    if (found === null || client !== this.#client || client.state.name === "open") return;
    if (found.forGood) client.giveUp(found.reason);
    else this.#part.loss.textContent = ending({ opened: false, reason: found.reason });
  }

  #forget() {
    this.#onTheirWay.clear();
    this.#announced = [];
  }

  #tick() {
    const state = this.#client?.state;
    const now = performance.now();
    if (state?.name === "waiting") {
      const seconds = Math.max(0, Math.ceil((state.until - Date.now()) / 1000));
      this.#part.countdown.textContent = `in ${seconds} s`;
    }
    // A browser never learns that the other side has vanished; an own message that doesn't come back tells.
    const [oldest] = this.#onTheirWay.values();
    if (oldest !== undefined && now - Math.max(oldest, this.#heardAt) > NO_ANSWER) this.#client.renew("no answer");
    const late = oldest !== undefined && now - oldest > LATE;
    this.#part.waiting.textContent = late ? `${plural(this.#onTheirWay.size, "message")} not back yet` : "";
    this.#latency.draw();
    if (now - this.#ratedAt < 1000) return;
    const rate = (this.#arrived * 1000) / (now - this.#ratedAt);
    this.#arrived = 0;
    this.#ratedAt = now;
    this.#part.rate.textContent = `${rate < 9.5 ? Number(rate.toFixed(1)) : Math.round(rate).toLocaleString("en")}/s`;
    this.#log.pace(rate);
  }

  // Messages in

  #received(data) {
    this.#arrived += 1;
    this.#heardAt = performance.now();
    if (typeof data !== "string") {
      const index = this.#announced.findIndex(({ bytes }) => bytes === data.byteLength);
      const [from] = index < 0 ? [{ name: null, mine: false }] : this.#announced.splice(index, 1);
      this.#log.message({ ...from, data });
      return;
    }
    const { name, text, id, file, bytes } = decode(data);
    const sentAt = this.#onTheirWay.get(id);
    const mine = this.#onTheirWay.delete(id);
    const roundTrip = mine ? this.#heardAt - sentAt : undefined;
    if (mine) this.#latency.add(roundTrip);
    if (file !== undefined) {
      this.#announced.push({ name, file, bytes, mine });
      if (this.#announced.length > ANNOUNCED) this.#announced.shift();
    }
    this.#log.message({ name, text, mine, roundTrip });
  }

  // Messages out

  #joinAsked(event) {
    event.preventDefault();
    const channel = this.#part.channel.value.trim();
    if (channel !== this.#channel || this.token !== this.#token) this.join(channel);
    else this.#say("");
    if (!this.#running) this.#client?.start();
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
    this.#say("");
    // What couldn't be sent stays where it can be sent again.
    if (this.#sendText(text)) this.#part.text.value = "";
  }

  async #sendFiles() {
    const files = [...this.#part.files.files];
    this.#part.files.value = "";
    this.#say("");
    for (const file of files) {
      if (file.size > this.#server.max_message_bytes) {
        const most = this.#server.max_message_bytes.toLocaleString("en");
        this.#say(`${file.name} has ${file.size.toLocaleString("en")} bytes; this server takes up to ${most}.`);
        continue;
      }
      const client = this.#client;
      const data = await file.arrayBuffer().catch(() => null);
      if (data === null) this.#say(`${file.name} can't be read.`);
      // The channel may have been left while the file was read.
      else if (client === this.#client) this.#sendFile(file.name, data);
    }
  }

  // The bytes go as they are. Before them goes a text that says whose they are.
  #sendFile(file, data) {
    if (!this.#sendText(`sends ${file}`, { file, bytes: data.byteLength })) return;
    const problem = this.#client.send(data);
    this.#explain(problem === null ? null : `${file}, ${problem}`);
  }

  #sendText(text, announcement = {}) {
    if (this.#onTheirWay.size >= ON_THEIR_WAY) return this.#explain("a thousand messages are on their way");
    const id = `${this.#ownIds}${(this.#sent += 1)}`;
    const message = encode({ name: this.name || "nobody", text, id, ...announcement });
    const problem = this.#client === null ? "not connected" : this.#client.send(message);
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
      if (this.#client?.state.name !== "open") return;
      const sent = this.#sendText(`number ${(number += 1)}`);
      // Its own complaint is over when it gets through again; any other is for a person to read, who is slower.
      if (!sent) complaint = this.#part.note.textContent;
      else if (this.#part.note.textContent === complaint) this.#say("");
    }, 1000 / perSecond);
  }

  #explain(problem) {
    if (problem !== null) this.#say(`Not sent: ${problem}.`);
    return problem === null;
  }

  #say(text) {
    if (this.#part.note.textContent !== text) this.#part.note.textContent = text;
  }
}
