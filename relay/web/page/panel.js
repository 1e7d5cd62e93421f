// One client: its connection, its messages, and what it sends.

import { fieldOf, refusal } from "./access.js";
import { Attachments } from "./attachments.js";
import { ChannelHistory } from "./channel-history.js";
import { ChannelStatus } from "./channel-status.js";
import { Composer } from "./composer.js";
import { connection } from "./connection.js";
import { FileAnnouncements } from "./file-announcements.js";
import { JoinForm } from "./join-form.js";
import { Latency } from "./latency.js";
import { Log } from "./log.js";
import { channelPath, decode, query, readable, serverUrl } from "./message.js";
import { StateLine } from "./state-line.js";
import { beginning, CUT, ending, plural, rate, size } from "./words.js";

const TICK = 250; // ms between two looks at the clock
const LATE = 1_000; // ms after which it is said that own messages are not back
const NO_ANSWER = 15_000; // ms until a connection on which nothing comes back counts as dead
const WITHOUT_NETWORK = 10_000; // ms that a cut lasts

export class Panel {
  #part;
  #server;
  #onJoin;
  #joined = null; // { channel, user, token, protocol }
  #client = null;
  #position = null; // tells where the client is, when it doesn't say so by itself
  #log;
  #latency;
  #composer;
  #form;
  #history;
  #line;
  #channelStatus;
  #announcements = new FileAnnouncements();
  #arrived = 0; // messages since the rate was last worked out
  #heardAt = 0;
  #ratedAt = performance.now();
  #hadOpened = false;
  #ticker;

  // root: a clone of the template. server: what this server allows. title: of the panel. onJoin: told of the channel and
  // the readable address each time that the client joins.
  constructor(root, { server, title, onJoin = () => {} }) {
    this.root = root;
    this.#server = server;
    this.#onJoin = onJoin;
    this.#part = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    const part = this.#part;
    part.title.textContent = title;
    part.heading.id = title.replace(" ", "-");
    root.setAttribute("aria-labelledby", part.heading.id);
    part.limit.textContent = `up to ${size(server.max_message_bytes)}`;
    this.#log = new Log(part, new Attachments());
    this.#latency = new Latency({ chart: part.chart, scale: part.scale, caption: part.latency, median: part.median });
    this.#form = new JoinForm(part, {
      title,
      auth: server.auth,
      onJoin: () => this.#joinAsked(),
      onRename: () => this.#running && this.#joinAsked(), // who has disconnected stays so
    });
    this.#line = new StateLine(root, part);
    this.#composer = new Composer(part, { most: server.max_message_bytes, name: () => this.name });
    this.#channelStatus = new ChannelStatus(part);
    part.cut.addEventListener("click", () => this.#client.renew(CUT, WITHOUT_NETWORK));
    part.switch.addEventListener("click", () => (this.#running ? this.#client.stop() : this.#joinAsked()));
    part.now.addEventListener("click", () => this.#client.start());
    this.#history = new ChannelHistory(part, { log: this.#log, joined: () => this.#joined });
    this.#ticker = setInterval(() => this.#tick(), TICK);
    this.#latency.draw();
  }

  get name() {
    return this.#form.name;
  }

  set name(name) {
    this.#form.name = name;
  }

  // That was joined; "" before the first time.
  get channel() {
    return this.#joined?.channel ?? "";
  }

  // With which the client comes in; one that was put into the field counts from the next `join` on.
  get token() {
    return this.#form.token;
  }

  set token(token) {
    this.#form.token = token;
  }

  // Leave the channel and go to another one, with what the form says else. Says what is wrong with that, and stays, when
  // something is.
  join(channel) {
    this.#form.channel = channel;
    if (!this.#form.check()) return false;
    const left = this.#client;
    this.#client = null;
    left?.stop();
    if (channel !== this.channel) this.#log.clear();
    const wanted = this.#form.wanted;
    this.#joined = wanted;
    this.#form.joined();
    this.#hadOpened = false;
    this.#forget();
    this.#composer.say("");
    this.#history.clear();
    this.#part.joined.textContent = channel;
    this.#part.files.parentElement.hidden = wanted.protocol === "centrifuge"; // JSON carries no bytes
    this.#latency.clear();
    this.#latency.draw();
    this.#channelStatus.begin(wanted.protocol);
    const { client, address, position } = connection(wanted, this.#server, {
      onState: (state) => client === this.#client && this.#stateChanged(state),
      onMessage: (data, offset) => this.#received(data, offset),
      onRefused: (text, reason) => this.#composer.refused(decode(text).id, reason),
      onPosition: (position) => this.#channelStatus.move(position),
      onHere: (members, own) => this.#channelStatus.see(members, own),
      onMissed: () => this.#log.remark("Messages are missing here: the channel doesn't keep them any more"),
    });
    this.#client = client;
    this.#composer.client = client;
    this.#position = position;
    client.start();
    this.#onJoin(channel, readable(address));
    return true;
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

  #joinAsked() {
    if (this.#form.differs) this.join(this.#form.channel);
    else if (this.#form.check() && !this.#running) this.#client.start();
  }

  // Connection

  #stateChanged(state) {
    this.#line.show(state);
    this.#composer.connectionChanged();
    if (state.name === "open") {
      this.#form.clear();
      const { channel } = this.#joined;
      this.#log.remark(this.#hadOpened ? beginning(state) : `Listening to ${channel}`);
      this.#hadOpened = true;
      this.#heardAt = performance.now();
    } else if (state.opened) {
      const unknown = this.#composer.waiting + this.#announcements.own;
      this.#log.remark(`${state.name === "closed" ? "Closed" : "Connection lost"}: ${ending(state)}`);
      const lost = `${plural(unknown, "message")} of yours did not come back: perhaps not delivered`;
      if (unknown > 0) this.#log.remark(lost);
      this.#forget();
    } else if (state.status !== undefined) {
      this.#refused(state);
    } else if (state.name === "waiting") {
      this.#askWhy(this.#client);
    }
    this.#tick();
  }

  // Say why a client was not let in; trying again is for what may pass.
  async #askWhy(client) {
    const { channel, user, token } = this.#joined;
    const found = await refusal(serverUrl(`sse/${channelPath(channel)}${query({ user })}`), token);
    if (found === null || client !== this.#client || client.state.name === "open") return;
    if (found.forGood) client.giveUp(found.reason);
    this.#refused(found);
  }

  #refused({ status, reason }) {
    const field = fieldOf(status, reason);
    this.#line.refused(field === undefined ? ending({ opened: false, reason }) : "refused");
    if (field !== undefined) this.#form.complain(field, reason);
  }

  #forget() {
    this.#composer.forget();
    this.#announcements.clear();
  }

  #tick() {
    const now = performance.now();
    const state = this.#client?.state;
    if (state?.name === "waiting") this.#line.count(state.until - Date.now());
    if (state?.name === "open" && this.#position !== null) this.#channelStatus.move(this.#position());
    // A browser never learns that the other side has vanished; an own message that doesn't come back tells.
    const { oldest } = this.#composer;
    if (oldest !== undefined && now - Math.max(oldest, this.#heardAt) > NO_ANSWER) this.#client.renew("no answer");
    const late = oldest !== undefined && now - oldest > LATE;
    this.#part.waiting.textContent = late ? `${plural(this.#composer.waiting, "message")} not back yet` : "";
    this.#latency.draw();
    if (now - this.#ratedAt < 1000) return;
    const perSecond = (this.#arrived * 1000) / (now - this.#ratedAt);
    this.#arrived = 0;
    this.#ratedAt = now;
    this.#part.rate.textContent = rate(perSecond);
    this.#log.pace(perSecond);
  }

  // Messages in

  #received(data, offset = 0) {
    this.#arrived += 1;
    this.#heardAt = performance.now();
    if (typeof data !== "string") return this.#log.message({ ...this.#announcements.take(data.byteLength), data, offset });
    const { name, text, id, file, bytes } = decode(data);
    const sentAt = this.#composer.back(id);
    const mine = sentAt !== undefined;
    const roundTrip = mine ? this.#heardAt - sentAt : undefined;
    if (mine) this.#latency.add(roundTrip);
    if (file !== undefined) this.#announcements.push({ name, file, bytes, mine });
    this.#log.message({ name, text, mine, roundTrip, offset });
  }
}
