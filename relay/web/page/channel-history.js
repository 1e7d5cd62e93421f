// The messages that a channel keeps, shown when one asks for them.

import { FileAnnouncements } from "./file-announcements.js";
import { channelPath, decode, placeOf, query, serverUrl } from "./message.js";
import { plural } from "./words.js";

export class ChannelHistory {
  #part;
  #log;
  #joined;

  // part: the parts of the panel. log: where they are shown. joined: tells where the client is; see JoinForm.
  constructor(part, { log, joined }) {
    this.#part = part;
    this.#log = log;
    this.#joined = joined;
    part.kept.addEventListener("submit", (event) => this.#asked(event));
  }

  // What was said of another channel is no longer so.
  clear() {
    this.#part.keptNote.textContent = "";
  }

  async #asked(event) {
    event.preventDefault();
    const { count, keptNote } = this.#part;
    const joined = this.#joined();
    const legal = count.value !== "" && count.checkValidity();
    const { problem = "", messages } = legal ? await ask(count.valueAsNumber, joined) : { problem: "1 to 1000 can be asked for" };
    if (joined !== this.#joined()) return;
    keptNote.textContent = problem && `Not shown: ${problem}.`;
    if (problem === "") this.#show(messages);
  }

  // As they were asked for: some of them may stand above already.
  #show(messages) {
    if (messages.length === 0) return this.#log.remark("The channel keeps no message yet");
    const shown = messages.length === 1 ? "message" : plural(messages.length, "message");
    this.#log.remark(`The last ${shown} that the channel keeps:`);
    const announcements = new FileAnnouncements();
    for (const { data, offset } of messages) {
      if (typeof data === "string") {
        const { name, text, file, bytes } = decode(data);
        if (file !== undefined) announcements.push({ name, file, bytes, mine: false });
        this.#log.message({ name, text, offset, at: null });
      } else {
        this.#log.message({ ...announcements.take(data.byteLength), data, offset, at: null });
      }
    }
    this.#log.remark("From here on: live");
  }
}

// Returns { messages: [{ data, offset }] }, the newest last, or { problem }. `data` is a string or an ArrayBuffer. A long
// poll that doesn't wait answers with them at once, whichever protocol the client speaks.
async function ask(count, { channel, user, token }) {
  const url = serverUrl(`poll/${channelPath(channel)}${query({ wait: 0, history: count, user })}`);
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  try {
    const answer = await fetch(url, { headers, cache: "no-store" });
    if (!answer.ok) return { problem: (await answer.text()).trim() };
    const { messages } = await answer.json();
    return { messages: messages.map(read) };
  } catch {
    return { problem: "the server can't be reached" };
  }
}

function read({ text, base64, position }) {
  const data = text ?? Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
  return { data, offset: placeOf(position)?.offset };
}
