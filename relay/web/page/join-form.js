// The form that says where a client wants to be: its channel, its name, its protocol, and its key or token.

import { credential, tokenProblem } from "./access.js";
import { channelProblem } from "./message.js";

// A field → where it is said what is wrong with it.
const NOTES = { channel: "channelNote", token: "tokenNote" };

export class JoinForm {
  #part;
  #named; // whether clients say who they are
  #joined = null;

  // part: the parts of the panel. title: of the panel. auth: how the server knows its clients. onJoin: called when a
  // person wants to be where the form says. onRename: called when it is the name alone that a person has changed.
  constructor(part, { title, auth, onJoin, onRename }) {
    this.#part = part;
    this.#named = auth === "none";
    part.credential.textContent = credential(auth);
    part.credential.parentElement.hidden = auth === "none";
    for (const [field, note] of Object.entries(NOTES)) {
      part[note].id = `${title} ${note}`.replaceAll(" ", "-");
      part[field].setAttribute("aria-describedby", part[note].id);
    }
    part.join.addEventListener("submit", (event) => {
      event.preventDefault();
      onJoin();
    });
    part.join.addEventListener("input", () => this.#light());
    // A choice is whole at once. A name is, too, when its field is left; but then a channel may still be half typed.
    part.protocol.addEventListener("change", onJoin);
    part.name.addEventListener("change", () => !this.#elsewhere && this.differs && onRename());
  }

  get channel() {
    return this.#part.channel.value.trim();
  }

  set channel(channel) {
    this.#part.channel.value = channel;
  }

  get name() {
    return this.#part.name.value.trim();
  }

  set name(name) {
    this.#part.name.value = name;
  }

  get token() {
    return this.#part.token.value.trim();
  }

  set token(token) {
    this.#part.token.value = token;
  }

  // What the form says: { channel, user, token, protocol }. Where no client is asked who it is, the name is the user, so
  // that others see it and back ends find it.
  get wanted() {
    const user = this.#named ? this.name : "";
    return { channel: this.channel, user, token: this.token, protocol: this.#part.protocol.value };
  }

  // Whether it says something else than what was joined.
  get differs() {
    const wanted = this.wanted;
    return this.#joined === null || Object.keys(wanted).some((field) => wanted[field] !== this.#joined[field]);
  }

  // Says what is wrong beside the field that it is about; returns whether nothing is.
  check() {
    this.clear();
    const { channel, token } = this.wanted;
    const found = { channel: channelProblem(channel), token: tokenProblem(token) };
    for (const [field, problem] of Object.entries(found)) if (problem !== null) this.complain(field, problem);
    return found.channel === null && found.token === null;
  }

  // Says what is wrong with a field: "channel" or "token".
  complain(field, problem) {
    this.#part[field].setAttribute("aria-invalid", "true");
    this.#part[NOTES[field]].textContent = problem;
  }

  // Nothing is wrong any more.
  clear() {
    for (const [field, note] of Object.entries(NOTES)) {
      this.#part[field].removeAttribute("aria-invalid");
      this.#part[note].textContent = "";
    }
  }

  // What it says now is joined.
  joined() {
    this.#joined = this.wanted;
    this.#light();
  }

  get #elsewhere() {
    return this.#joined === null || this.channel !== this.#joined.channel || this.token !== this.#joined.token;
  }

  #light() {
    this.#part.enter.classList.toggle("main", this.differs);
  }
}
