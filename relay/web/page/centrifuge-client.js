// A client of one channel that speaks the Centrifuge protocol, with a bare WebSocket: each line is a JSON object. Made to
// be read. An application takes one of the official clients, which do all of this and more.
//
// It is used as RelayClient is, and its states are the same, but for
//     { name: "open", recovered }   subscribed. `recovered` says how many messages of meanwhile follow now; null: what was
//                                   missed can't be known; undefined: it knew no position, and has not asked

import { RelayClient } from "../client/relay-client.js";

const LATE = 10_000; // ms by which a ping may be late
const LOOK_SOON = 200; // ms; who comes and goes is on the bus a little later than its clients hear of it
const LOOK_AGAIN = 5_000; // ms
const SUBSCRIBE_AGAIN = 2500; // from this code on, a subscription that the server has ended is wanted again

export class CentrifugeClient {
  #link;
  #channel;
  #token;
  #on;
  #state = { name: "closed", opened: false, code: 1000, reason: "" };
  #ids = 0;
  #replies = new Map(); // id of a command → what is done with its reply
  #subscribed = false;
  #position = null; // { epoch, offset } of the newest message that was seen
  #own = ""; // id of this client
  #patience = 0; // ms without a word from the server; 0: any
  #silence = 0;
  #look = 0;

  // url: of the endpoint. channel: to subscribe to. token, maxMessageBytes: as for RelayClient.
  // on: onState: as for RelayClient.
  //     onMessage(text, offset): the JSON of a message, a string as its text. `offset` is 0 where they have no positions.
  //     onRefused(text, reason): of what was sent.
  //     onPosition(position): null where there are none.
  //     onHere(members, own): who is subscribed, and the own id; `members` is null where that isn't told.
  constructor(url, { channel, token, maxMessageBytes, ...on }) {
    this.#channel = channel;
    this.#token = token;
    this.#on = on;
    this.#link = new RelayClient(url, {
      maxMessageBytes,
      onState: (state) => this.#linkChanged(state),
      onMessage: (frame) => this.#received(frame),
    });
  }

  get state() {
    return this.#state;
  }

  start() {
    this.#link.start();
  }

  stop() {
    this.#link.stop();
  }

  giveUp(reason, code) {
    this.#link.giveUp(reason, code);
  }

  renew(reason, delay) {
    this.#link.renew(reason, delay);
  }

  // Publish a JSON text. Returns null, or says why it was not sent; the server may refuse it later.
  send(text) {
    if (!this.#subscribed) return "not connected";
    const id = (this.#ids += 1);
    // The text goes as it is: the relay passes data on byte for byte.
    const problem = this.#link.send(`{"id":${id},"publish":{"channel":${JSON.stringify(this.#channel)},"data":${text}}}`);
    if (problem === null) this.#replies.set(id, ({ error }) => error && this.#on.onRefused(text, error.message));
    return problem;
  }

  // Connection

  #linkChanged(state) {
    if (state.name === "open") return this.#introduce();
    const opened = this.#subscribed;
    this.#subscribed = false;
    this.#replies.clear();
    clearTimeout(this.#silence);
    clearTimeout(this.#look);
    this.#tell("opened" in state ? { ...state, opened } : state);
  }

  // Both commands in one frame: the second doesn't wait for the first reply.
  #introduce() {
    const token = this.#token();
    const connect = { ...(token && { token }), name: "relay playground" };
    this.#send(this.#command({ connect }, (reply) => this.#introduced(reply.connect)), this.#subscription());
  }

  #introduced({ client, ping }) {
    this.#own = client;
    this.#patience = ping ? ping * 1000 + LATE : 0;
  }

  // Goes on after the newest message that was seen.
  #subscription() {
    const from = this.#position && { recover: true, ...this.#position };
    const subscribe = { channel: this.#channel, positioned: true, recoverable: true, join_leave: true, ...from };
    return this.#command({ subscribe }, (reply) => this.#begun(reply.subscribe));
  }

  #begun({ epoch, offset = 0, was_recovering: asked, recovered, publications = [] }) {
    this.#subscribed = true;
    this.#move(epoch ? { epoch, offset } : null);
    this.#tell({ name: "open", recovered: asked ? (recovered ? publications.length : null) : undefined });
    for (const publication of publications) this.#take(publication);
    this.#lookAround(LOOK_SOON);
  }

  #tell(state) {
    this.#state = state;
    this.#on.onState(state);
  }

  // What the server says

  #received(frame) {
    clearTimeout(this.#silence);
    if (this.#patience > 0) this.#silence = setTimeout(() => this.renew("no ping"), this.#patience);
    for (const line of frame.split("\n")) {
      const { id, push, ...reply } = JSON.parse(line);
      if (push !== undefined) this.#pushed(push);
      else if (id !== undefined) this.#answered(id, reply);
      else this.#send("{}"); // a ping
    }
  }

  #answered(id, reply) {
    const done = this.#replies.get(id);
    this.#replies.delete(id);
    done?.(reply);
  }

  #pushed({ channel, pub, join, leave, unsubscribe }) {
    if (channel !== this.#channel) return;
    if (pub) this.#take(pub);
    if (join || leave) this.#lookAround(LOOK_SOON);
    if (unsubscribe === undefined) return;
    if (unsubscribe.code < SUBSCRIBE_AGAIN) return this.giveUp(unsubscribe.reason, unsubscribe.code);
    this.#subscribed = false;
    this.#tell({ name: "connecting" });
    this.#send(this.#subscription());
  }

  #take({ data, offset = 0 }) {
    if (offset > 0 && this.#position !== null) this.#move({ ...this.#position, offset });
    this.#on.onMessage(typeof data === "string" ? data : JSON.stringify(data), offset);
  }

  #move(position) {
    this.#position = position;
    this.#on.onPosition(position);
  }

  #lookAround(after) {
    clearTimeout(this.#look);
    const ask = () => this.#send(this.#command({ presence: { channel: this.#channel } }, (reply) => this.#seen(reply)));
    this.#look = setTimeout(ask, after);
  }

  #seen({ error, presence }) {
    this.#on.onHere(error ? null : Object.values(presence.presence), this.#own);
    if (!error) this.#lookAround(LOOK_AGAIN);
  }

  // What the server is told

  // Returns a command as a line. done: is given its reply; of `connect` and `subscribe` only when they have not failed.
  #command(request, done) {
    const id = (this.#ids += 1);
    const must = "connect" in request || "subscribe" in request;
    this.#replies.set(id, (reply) => (must && reply.error ? this.#failed(reply.error) : done(reply)));
    return JSON.stringify({ id, ...request });
  }

  #failed({ code, message, temporary }) {
    if (temporary) this.renew(`${message}, ${code}`);
    else this.giveUp(message);
  }

  #send(...lines) {
    this.#link.send(lines.join("\n"));
  }
}
