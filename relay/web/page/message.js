// What this page puts into a text message: JSON with a name and a text, so that a reader sees who writes. The relay
// itself passes on whatever it is given; a text of any other kind comes from another client, and is shown as it is.

const FIELDS = { name: "string", text: "string", id: "string", file: "string", bytes: "number" };

// Returns the text message that says `text` in the name of `name`. `id` lets the sender know it again; `file` and
// `bytes` announce a binary message that follows.
export function encode({ name, text, id, file, bytes }) {
  return JSON.stringify({ name, text, id, file, bytes });
}

// Returns { name, text, id, file, bytes }; `name` is null for a text that wasn't written by such a page.
export function decode(data) {
  const plain = { name: null, text: data };
  if (!data.startsWith("{")) return plain;
  let fields;
  try {
    fields = JSON.parse(data);
  } catch {
    return plain;
  }
  // With more in it than this page would show, it is JSON of another program: shown whole.
  const ours = Object.entries(fields).every(([field, value]) => typeof value === FIELDS[field]);
  return ours && "name" in fields && "text" in fields ? fields : plain;
}

// Says what is wrong with a channel's name; null when nothing is.
export function channelProblem(channel) {
  if (channel === "") return "A channel needs a name.";
  if (/[\ud800-\udfff]/u.test(channel)) return "The channel is not valid text.";
  if (/[\s\p{Cc}]|(?![\u200c\u200d])\p{Cf}/u.test(channel)) {
    return "A channel has no white space, and no control or invisible characters.";
  }
  if (new TextEncoder().encode(channel).length > 255) return "A channel has at most 255 bytes.";
  // A browser would take these for folders of the URL, however they are written.
  if (/(^|\/)\.\.?(\/|$)/.test(channel)) return "A browser can't ask for . and .. in a URL.";
  return null;
}

// Returns the channel as a part of a URL's path, as readable as it may be. Nothing in it has a meaning to a shell within
// quotes.
export function channelPath(channel) {
  return encodeURIComponent(channel).replace(/%(2F|3A|40|2C|3D|2B)/g, decodeURIComponent).replaceAll("'", "%27");
}

// Returns parameters as a URL's query; those that are "" are left out.
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "");
  const written = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return written && `?${written}`;
}

// Returns a URL as a person reads it.
export function readable(url) {
  try {
    return decodeURI(url);
  } catch {
    return url; // half a character
  }
}

// Returns the URL of a path of this server; a proxy may have put another one in front of it.
export function serverUrl(path) {
  return new URL(path, location.href.split(/[?#]/)[0]);
}

// Returns the URL of a path of this server for a WebSocket.
export function socketUrl(path) {
  const url = serverUrl(path);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

// Returns { epoch, offset } of a position as events and polls write it, "EPOCH:OFFSET"; null for none.
export function placeOf(position) {
  const [, epoch, offset] = /^(.*):(\d+)$/.exec(position ?? "") ?? [];
  return epoch === undefined ? null : { epoch, offset: Number(offset) };
}

// Returns a beginning of ids that no other client has. randomUUID() would need HTTPS.
export function uniquePrefix() {
  return `${crypto.getRandomValues(new Uint32Array(2)).join("-")}-`;
}
