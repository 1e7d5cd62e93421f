// The messages of a panel, newest last. Written in batches, once per frame, so that high rates don't freeze the page.

import { make } from "./attachments.js";
import { Backlog } from "./backlog.js";
import { colour } from "./colours.js";

const ENTRIES = 500; // kept on the page
const PER_FRAME = 40; // more than a person can read
const WAITING_BYTES = 16 * 1024 * 1024;
const SHOWN_CHARACTERS = 4_000; // of one message
const CALM = 4; // messages a second that a screen reader can read out
const GAP_INTERVAL = 1_000; // ms between two remarks about what was left out

export class Log {
  #view;
  #list;
  #latest;
  #attachments;
  #backlog = new Backlog(ENTRIES, WAITING_BYTES);
  #frame = 0;
  #following = true;
  #shape = "";
  #unseen = 0;
  #remarked = 0;

  // parts: { log, entries, latest }: what scrolls, the <ol> in it, and a button that leads to its end. attachments: offers
  // binary messages.
  constructor({ log, entries, latest }, attachments) {
    this.#view = log;
    this.#list = entries;
    this.#latest = latest;
    this.#attachments = attachments;
    latest.addEventListener("click", () => {
      this.#toEnd();
      log.focus();
    });
    log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A phone that is turned breaks the lines anew, a picture adds some: the end is elsewhere, though the user hasn't scrolled.
    const follow = () => this.#following && this.#toEnd();
    new ResizeObserver(follow).observe(log);
    log.addEventListener("load", follow, { capture: true });
  }

  // Add a message: { name, text | data, file, mine, roundTrip, offset, at }. `name` is null when the sender gave none,
  // `offset` 0 when the message has no position, and `at` when it isn't known when it came.
  message({ at = new Date(), ...message }) {
    const size = message.data?.byteLength ?? message.text.length * 2;
    this.#push({ ...message, at }, size);
  }

  // Add a remark of the page itself.
  remark(text) {
    this.#push({ remark: text, at: new Date() }, text.length);
  }

  clear() {
    this.#backlog.clear();
    this.#trim(0);
    this.#seen();
  }

  // Say how many messages a second arrive; reading aloud stops when no listener could follow.
  pace(perSecond) {
    const live = perSecond > CALM ? "off" : "polite";
    if (this.#view.getAttribute("aria-live") !== live) this.#view.setAttribute("aria-live", live);
  }

  #push(entry, size) {
    this.#backlog.push(entry, size);
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    const stay = !this.#following && !this.#atEnd();
    const added = document.createDocumentFragment();
    const now = performance.now();
    if (this.#backlog.leftOut > 0 && now - this.#remarked >= GAP_INTERVAL) {
      const count = this.#backlog.leftOut.toLocaleString("en");
      added.append(remark({ remark: `${count} messages left out: more came than can be shown`, at: new Date() }));
      this.#backlog.leftOut = 0;
      this.#remarked = now;
    }
    const taken = this.#backlog.take(PER_FRAME);
    for (const entry of taken) added.append("remark" in entry ? remark(entry) : this.#message(entry));
    this.#list.append(added);
    this.#trim(ENTRIES);
    if (stay) {
      this.#unseen += taken.length;
      this.#latest.textContent = `${Math.min(this.#unseen, ENTRIES)} new below`;
      this.#latest.hidden = false;
    } else {
      this.#toEnd();
    }
    const again = this.#backlog.length > 0 || this.#backlog.leftOut > 0;
    this.#frame = again ? requestAnimationFrame(() => this.#render()) : 0;
  }

  #message({ name, text, data, file, mine, roundTrip, offset = 0, at }) {
    const item = make("li", mine ? "mine" : "");
    const who = name === null ? ["who nameless", "no name"] : [`who colour-${colour(name)}`, name.slice(0, 64)];
    item.append(time(at), make("b", ...who));
    if (data === undefined) {
      item.append(make("span", "text", text.slice(0, SHOWN_CHARACTERS)));
      const more = text.length - SHOWN_CHARACTERS;
      if (more > 0) item.append(make("span", "aside", `and ${more.toLocaleString("en")} more characters`));
    } else {
      item.append(this.#attachments.offer(data, file));
    }
    const place = offset > 0 ? [`no. ${offset}`] : [];
    const trip = roundTrip === undefined ? [] : [`back in ${roundTrip.toFixed(1)} ms`];
    if (place.length + trip.length > 0) item.append(make("span", "aside", [...trip, ...place].join(", ")));
    return item;
  }

  #trim(most) {
    while (this.#list.childElementCount > most) {
      const first = this.#list.firstElementChild;
      this.#attachments.release(first.querySelector(".attachment"));
      first.remove();
    }
  }

  #scrolled() {
    const moved = this.#moved();
    // Lines that break anew move the view, and their event may come before the observer's: the user hasn't scrolled.
    if (moved && this.#following) return this.#toEnd();
    this.#following = this.#atEnd();
    if (this.#following) this.#seen();
  }

  #atEnd() {
    return this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight < 48;
  }

  // Whether the list or its lines have another height than when this was asked last.
  #moved() {
    const before = this.#shape;
    this.#shape = `${this.#view.scrollHeight} ${this.#view.clientHeight}`;
    return this.#shape !== before;
  }

  #toEnd() {
    this.#view.scrollTop = this.#view.scrollHeight;
    this.#following = true;
    this.#moved();
    this.#seen();
  }

  #seen() {
    this.#unseen = 0;
    this.#latest.hidden = true;
  }
}

function remark({ remark: text, at }) {
  const item = make("li", "remark");
  item.append(time(at), make("span", "text", text));
  return item;
}

function time(at) {
  if (at === null) return make("span", "before", "before");
  const element = make("time", "", at.toLocaleTimeString("en-GB"));
  element.dateTime = at.toISOString();
  return element;
}
