// Who may do what here, and the key or token of a client.

const TOKEN = "relay-playground-token"; // where the tab keeps it
const KINDS = { key: "Key", jwt: "Token" };
const HEADER = /^[\x21-\x7e]+$/; // what a header, and an entry of subprotocols, can carry

// Says in one sentence who may do what. server: what this server allows.
export function accessInWords({ auth, everything }) {
  if (everything) return "Every client that reaches this server may listen and publish to every channel: RELAY_AUTH is none.";
  if (auth === "none") return "Every client has the same rights here, and they may not allow every channel: RELAY_AUTH is none.";
  return `This server asks who you are: put a ${credential(auth).toLowerCase()} into the field. It stays in this tab.`;
}

// Returns what a client comes in with, for a label; "" when it needs nothing.
export function credential(auth) {
  return auth === "none" ? "" : KINDS[auth] ?? "Key or token";
}

// Says what is wrong with a token; null when nothing is.
export function tokenProblem(token) {
  return token === "" || HEADER.test(token) ? null : "A key or token has no white space, and ASCII characters only.";
}

// Only for this tab, and only while it is open: in localStorage it would be there for the next person at this browser,
// and in the address for every person who gets the link. A browser may forbid to keep anything.
export function rememberedToken() {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return "";
  }
}

export function rememberToken(token) {
  try {
    if (token === "") sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, token);
  } catch {
    // Then it is asked for again after a reload.
  }
}

// Returns the field of the form that a refusal is about; undefined when it is about none.
export function fieldOf(status, reason) {
  if (status === 401) return "token";
  return status === 403 && reason.includes("channel") ? "channel" : undefined;
}

// Returns { forGood, status, reason } when the server refuses to let a client listen; null when it doesn't, or doesn't
// answer. A browser says nothing of the answer to a WebSocket that was refused. The same question by HTTP gets the same one.
export async function refusal(url, token) {
  const stop = new AbortController();
  try {
    const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
    const answer = await fetch(url, { headers, signal: stop.signal, cache: "no-store" });
    if (answer.ok) return null;
    const { status } = answer;
    const reason = (await answer.text()).trim();
    // Too many requests, and everything from 500 on, may be better in a while.
    return { forGood: status < 500 && status !== 429, status, reason };
  } catch {
    return null;
  } finally {
    stop.abort();
  }
}
