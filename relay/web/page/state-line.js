// The line that says how a client is connected, why it isn't, and when it tries again.

import { ending } from "./words.js";

const STATES = { connecting: "Connecting", open: "Open", waiting: "Reconnecting", closed: "Closed" };

export class StateLine {
  #root;
  #part;

  // root: of the panel. part: its parts.
  constructor(root, part) {
    this.#root = root;
    this.#part = part;
  }

  // state: of a client; see RelayClient.
  show(state) {
    const part = this.#part;
    this.#root.dataset.state = state.name;
    part.state.textContent = STATES[state.name];
    part.loss.textContent = "code" in state ? ending(state) : "";
    part.switch.textContent = state.name === "closed" ? "Connect" : "Disconnect";
    part.again.hidden = state.name !== "waiting";
    part.send.disabled = state.name !== "open";
    part.cut.disabled = state.name !== "open";
  }

  // Say why it was refused, in other words than those of the state.
  refused(reason) {
    this.#part.loss.textContent = reason;
  }

  // Say when the next attempt is: in so many ms.
  count(ms) {
    this.#part.countdown.textContent = `in ${Math.max(0, Math.ceil(ms / 1000))} s`;
  }
}
