// Where a client of the Centrifuge protocol stands in its channel, and who else is there.

import { plural } from "./words.js";

const NAMED = 20; // users; of more the number is said

const NO_POSITIONS = "No message is kept, so what is said while you are away is missed (RELAY_HISTORY_SIZE).";
const NO_PRESENCE = "Nobody is told who is here (RELAY_PRESENCE, and the right p).";

export class Standing {
  #part;
  #positioned = true;
  #present = true;

  // part: the parts of the panel.
  constructor(part) {
    this.#part = part;
  }

  show() {
    this.#positioned = true;
    this.#present = true;
    this.#part.standing.hidden = false;
    this.#part.files.parentElement.hidden = true; // JSON carries no bytes
    this.#part.position.textContent = "";
    this.#part.here.textContent = "";
    this.#part.lacks.textContent = "";
  }

  hide() {
    this.#part.standing.hidden = true;
    this.#part.files.parentElement.hidden = false;
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
    this.#part.here.textContent = members === null ? "not told" : inWords(members, own);
    this.#explain();
  }

  #explain() {
    const text = [this.#positioned ? "" : NO_POSITIONS, this.#present ? "" : NO_PRESENCE].join(" ").trim();
    if (this.#part.lacks.textContent !== text) this.#part.lacks.textContent = text;
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
