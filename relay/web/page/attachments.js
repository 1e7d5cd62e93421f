// Binary messages: kept in the page's memory while there is room, to be saved or looked at.

import { plural } from "./words.js";

const KEPT_BYTES = 64 * 1024 * 1024;
const NAME_CHARACTERS = 100; // of a file's name, as a stranger says it
const PICTURES = [
  ["image/png", "png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", "jpg", [0xff, 0xd8, 0xff]],
  ["image/gif", "gif", [0x47, 0x49, 0x46, 0x38]],
];

export class Attachments {
  #kept = new Map(); // element → { url, size }, oldest first
  #bytes = 0;

  // Return an element that offers `data`, an ArrayBuffer. `file`: its name, as the sender says; may be undefined.
  offer(data, file) {
    const [type, ending] = kind(new Uint8Array(data, 0, Math.min(8, data.byteLength)));
    // Only what can do no harm keeps its type: a page or a drawing could run scripts when it is opened.
    const url = URL.createObjectURL(new Blob([data], { type }));
    const size = data.byteLength;
    const shown = file?.slice(0, NAME_CHARACTERS) ?? "";
    const offer = make("span", "attachment");
    offer.append(make("b", "", shown || "binary message"), make("span", "size", plural(size, "byte")));
    const link = make("a", "", "Save");
    link.href = url;
    link.download = fileName(file) || `message.${ending}`;
    offer.append(link);
    if (type.startsWith("image/")) offer.append(lookButton(url, shown));
    this.#kept.set(offer, { url, size });
    this.#bytes += size;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= KEPT_BYTES || oldest === offer) break;
      oldest.replaceChildren(...[...oldest.children].slice(0, 2), make("span", "size", "no longer kept"));
      this.release(oldest);
    }
    return offer;
  }

  // Forget what an element offers.
  release(offer) {
    const kept = this.#kept.get(offer);
    if (kept === undefined) return;
    URL.revokeObjectURL(kept.url);
    this.#bytes -= kept.size;
    this.#kept.delete(offer);
  }
}

// Returns a new element with a class and a text. Text is never read as HTML, here and anywhere on this page.
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

function kind(head) {
  const found = PICTURES.find(([, , magic]) => magic.every((byte, index) => head[index] === byte));
  return found ?? ["application/octet-stream", "bin"];
}

// On request only: what strangers send is neither shown nor unpacked unasked.
function lookButton(url, shown) {
  const button = make("button", "plain", "Show");
  button.type = "button";
  button.addEventListener("click", () => {
    const picture = make("img");
    picture.src = url;
    picture.alt = `Picture: ${shown || "without a name"}`;
    button.replaceWith(picture);
  });
  return button;
}

function fileName(file = "") {
  return file.replace(/[^\p{L}\p{N} ._-]/gu, "_").replace(/^\.+/, "").slice(-NAME_CHARACTERS).trim();
}
