// Where a client stands in its channel, and who else is there, as far as its protocol tells.

import { plural } from "./words.js";

const NAMED = 20; // users; of more the number is said

const RESUMES = "After a cut it goes on there. Centrifuge also tells who is here.";
const PLAIN = "A WebSocket misses what is said while it is away; events and Centrifuge don't.";
const NO_POSITIONS = "No message is kept, so what is said while you are away is missed (RELAY_HISTORY_SIZE).";
const NO_PRESENCE = "No client is told who is here (RELAY_PRESENCE, and the right p).";

export class ChannelStatus {
  #part;
  #protocol = "plain";
  #positioned = true;
  #present = true;

  // part: the parts of the panel.
  constructor(part) {
    this.#part = part;
  }

  // Begin anew, with a client of another protocol or channel.
  begin(protocol) {
    this.#protocol = protocol;
    this.#positioned = true;
    this.#present = true;
    this.#part.positioned.hidden = protocol === "plain";
    this.#part.present.hidden = protocol !== "centrifuge";
    this.#part.position.textContent = "";
    this.#part.here.textContent = "";
    this.#explain();
  }

  // position: { epoch, offset }; null: the channel has none.
  move(position) {
    this.#positioned = position !== null;
    this.#part.position.textContent = position === null ? "none" : position.offset.toLocaleString("en");
    this.#part.position.title = position === null ? "" : `Epoch ${position.epoch}`;
    this.#explain();
  }

  // members: who is subscribed; null: that isn't told. own: id of this client.
  see(members, own) {
    this.#present = members !== null;
    const here = members === null ? "not told" : inWords(members, own);
    this.#part.here.textContent = here;
    this.#part.here.title = here;
    this.#explain();
  }

  #explain() {
    const text = this.#protocol === "plain" ? PLAIN : [this.#positions, this.#presence].join(" ").trim();
    if (this.#part.lacks.textContent !== text) this.#part.lacks.textContent = text;
  }

  get #positions() {
    if (!this.#positioned) return NO_POSITIONS;
    return this.#protocol === "events" ? RESUMES : "";
  }

  get #presence() {
    return this.#present ? "" : NO_PRESENCE;
  }
}

// Users, and how many have no name. A user may have several clients.
function inWords(members, own) {
  const users = new Set(members.map(({ user }) => user).filter((user) => user !== ""));
  const me = members.find(({ client }) => client === own)?.user;
  const names = [...users].slice(0, NAMED).map((user) => (user === me ? `${user} (you)` : user));
  if (users.size > NAMED) names.push(`${(users.size - NAMED).toLocaleString("en")} more`);
  const nameless = members.filter(({ user }) => user === "").length;
  if (nameless > 0) names.push(`${plural(nameless, "client")} without a name`);
  return names.join(", ") || "nobody";
}
