// One client: its connection, its messages, and what it sends.

import { credential, refusal, tokenProblem } from "./access.js";
import { Attachments } from "./attachments.js";
import { CentrifugeClient } from "./centrifuge-client.js";
import { Composer } from "./composer.js";
import { Latency } from "./latency.js";
import { Log } from "./log.js";
import { channelPath, channelProblem, decode, serverUrl, socketUrl } from "./message.js";
import { RelayClient } from "../client/relay-client.js";
import { Standing } from "./standing.js";
import { beginning, ending, plural, size } from "./words.js";

const TICK = 250; // ms between two looks at the clock
const LATE = 1_000; // ms after which it is said that own messages are not back
const NO_ANSWER = 15_000; // ms until a connection on which nothing comes back counts as dead
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
  #composer;
  #standing;
  #announced = []; // { name, file, bytes, mine }
  #arrived = 0; // messages since the rate was last worked out
  #heardAt = 0;
  #ratedAt = performance.now();
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
    this.#composer = new Composer(part, { most: server.max_message_bytes, name: () => this.name });
    this.#standing = new Standing(part);
    part.join.addEventListener("submit", (event) => this.#joinAsked(event));
    part.protocol.addEventListener("change", () => this.join(this.#channel));
    part.cut.addEventListener("click", () => this.#client.cut());
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
    this.#composer.say(problem ?? "");
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
    this.#client = this.#centrifuge ? this.#centrifugeClient() : this.#plainClient();
    this.#composer.client = this.#client;
    this.#client.start();
    this.#onChannel(channel);
    return true;
  }

  get #centrifuge() {
    return this.#part.protocol.value === "centrifuge";
  }

  #plainClient() {
    this.#standing.hide();
    const address = socketUrl(`ws/${channelPath(this.#channel)}?echo=1`);
    return new RelayClient(this.#show(address), {
      token: () => this.#token,
      subprotocol: this.#server.subprotocol,
      maxMessageBytes: this.#server.max_message_bytes,
      onState: (state) => this.#stateChanged(state),
      onMessage: (data) => this.#received(data),
    });
  }

  #centrifugeClient() {
    this.#standing.show();
    // Where nobody is asked who they are, others see the name that was typed.
    const user = this.#server.auth === "none" && this.name ? `?user=${encodeURIComponent(this.name)}` : "";
    return new CentrifugeClient(this.#show(socketUrl(`connection/websocket${user}`)), {
      channel: this.#channel,
      token: () => this.#token,
      maxMessageBytes: this.#server.max_message_bytes,
      onState: (state) => this.#stateChanged(state),
      onMessage: (text, offset) => this.#received(text, offset),
      onRefused: (text, reason) => this.#composer.refused(decode(text).id, reason),
      onPosition: (position) => this.#standing.move(position),
      onHere: (members, own) => this.#standing.see(members, own),
    });
  }

  #show(address) {
    this.#part.address.textContent = address.href;
    return address.href;
  }

  // End, and free what is kept.
  close() {
    clearInterval(this.#ticker);
    this.#composer.close();
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
    part.cut.disabled = !open;
    if (open) {
      this.#log.remark(this.#hadOpened ? beginning(state) : `Listening to ${this.#channel}`);
      this.#hadOpened = true;
      this.#heardAt = performance.now();
    } else if (state.opened) {
      const unknown = this.#composer.waiting + this.#announced.filter(({ mine }) => mine).length;
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
    this.#composer.forget();
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
    const { oldest } = this.#composer;
    if (oldest !== undefined && now - Math.max(oldest, this.#heardAt) > NO_ANSWER) this.#client.renew("no answer");
    const late = oldest !== undefined && now - oldest > LATE;
    this.#part.waiting.textContent = late ? `${plural(this.#composer.waiting, "message")} not back yet` : "";
    this.#latency.draw();
    if (now - this.#ratedAt < 1000) return;
    const rate = (this.#arrived * 1000) / (now - this.#ratedAt);
    this.#arrived = 0;
    this.#ratedAt = now;
    this.#part.rate.textContent = `${rate < 9.5 ? Number(rate.toFixed(1)) : Math.round(rate).toLocaleString("en")}/s`;
    this.#log.pace(rate);
  }

  // Messages in

  #received(data, offset = 0) {
    this.#arrived += 1;
    this.#heardAt = performance.now();
    if (typeof data !== "string") {
      const index = this.#announced.findIndex(({ bytes }) => bytes === data.byteLength);
      const [from] = index < 0 ? [{ name: null, mine: false }] : this.#announced.splice(index, 1);
      this.#log.message({ ...from, data });
      return;
    }
    const { name, text, id, file, bytes } = decode(data);
    const sentAt = this.#composer.back(id);
    const mine = sentAt !== undefined;
    const roundTrip = mine ? this.#heardAt - sentAt : undefined;
    if (mine) this.#latency.add(roundTrip);
    if (file !== undefined) {
      this.#announced.push({ name, file, bytes, mine });
      if (this.#announced.length > ANNOUNCED) this.#announced.shift();
    }
    this.#log.message({ name, text, mine, roundTrip, offset });
  }

  #joinAsked(event) {
    event.preventDefault();
    const channel = this.#part.channel.value.trim();
    if (channel !== this.#channel || this.token !== this.#token) this.join(channel);
    else this.#composer.say("");
    if (!this.#running) this.#client?.start();
  }
}
