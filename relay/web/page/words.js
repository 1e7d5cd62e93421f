// How a panel says things.

import { comesBack } from "../client/relay-client.js";

export const CUT = "you cut the network"; // why a connection ended that was to end

// Says how a connection ended, or why there was none.
export function ending({ opened, code, reason }) {
  if (code === 1000) return "by you";
  if (!opened) return reason === "" ? "the server can't be reached, or refuses the connection" : `refused: ${reason}`;
  if (reason === CUT) return CUT;
  if (code === 1006) return `the connection broke (1006${reason ? `, ${reason}` : ""})`;
  if (code === 1012) return "the relay could not hear its bus for a while: messages may be missing (1012)";
  if (code === 1008 && reason === "token expired") return "the token has expired: put in a new one (1008)";
  const said = `code ${code}${reason ? `, ${reason}` : ""}`;
  if (comesBack(code)) return said;
  return code < 3000 ? `this client did what the server doesn't allow (${said})` : `the server keeps it away (${said})`;
}

// Says what was missed while a client was away. state: the one in which it is back; see CentrifugeClient. `after` is the
// number of the last message that a client of events has heard.
export function beginning({ recovered, after }) {
  if (after !== undefined) return `Back again: it goes on after no. ${after.toLocaleString("en")}`;
  if (recovered === undefined) return "Back again; what was said meanwhile was missed";
  if (recovered === null) return "Back again, but not recovered: the server can't tell what was said meanwhile";
  return `Back again: ${recovered === 0 ? "nothing was missed" : `recovered ${plural(recovered, "message")}`}`;
}

// Says how many messages a second there are.
export function rate(perSecond) {
  const figure = perSecond < 9.5 ? Number(perSecond.toFixed(1)) : Math.round(perSecond);
  return `${plural(figure, "message")}/s`;
}

export function size(bytes) {
  if (bytes < 1024) return plural(bytes, "byte");
  return bytes < 1024 ** 2 ? `${Math.floor(bytes / 1024)} KiB` : `${Math.floor(bytes / 1024 ** 2)} MiB`;
}

export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
