// Requests to a channel by HTTP, and what a refusal says.

const HEADER = /^[\x21-\x7e]+$/; // what a header can carry
const SECONDS = /^\d{1,6}$/; // of Retry-After; what is no such number is no wish
const LONGEST_WISH = 3_600_000; // ms; no client stays away for longer because a server once said so

// Asking again would not help: the request itself, or a right.
const FINAL = new Set([400, 401, 403, 404, 405, 413, 415, 421]);

// Of these, what a host says of addresses that it doesn't know: it may have nothing of the relay but its WebSockets.
const UNKNOWN = new Set([404, 405]);

/**
 * Asks a channel for something, as `fetch` does. Redirects are not followed: a message, or a token in the address, would
 * go to any server that they name.
 */
export function request(url, token, { headers, ...options }) {
  const known = { ...headersFor(token), ...headers };
  return fetch(addressFor(url, token), { ...options, headers: known, redirect: "error", cache: "no-store" });
}

/**
 * Returns why a request was refused: { status, reason, retryAfter, final }, with the sentence of the server. known:
 * whether this is an address of the relay for certain.
 */
export async function refusalOf(response, known) {
  const reason = (await response.text()).trim();
  const wish = response.headers.get("Retry-After") ?? "";
  const retryAfter = SECONDS.test(wish) ? Math.min(Number(wish) * 1000, LONGEST_WISH) : undefined;
  const { status } = response;
  return { status, reason, retryAfter, final: FINAL.has(status) && (known || !UNKNOWN.has(status)) };
}

/**
 * Promises whether there is a server, whatever it says, within so many ms. It is asked at the address of the WebSocket,
 * with which a proxy goes on to the same server. A gateway says 426 to that, and a browser's console shows it: what
 * answers with 200 may be another server, or not be there.
 */
export async function answers(url, ms) {
  try {
    const signal = AbortSignal.timeout(ms);
    const answer = await fetch(url, { mode: "no-cors", cache: "no-store", credentials: "omit", signal });
    await answer.text();
    return answer.status < 500; // 0 where a page may not know
  } catch {
    return false;
  }
}

// Only a token that no header can carry takes the URL, which gets into logs.
function headersFor(token) {
  return token && HEADER.test(token) ? { Authorization: `Bearer ${token}` } : {};
}

function addressFor(url, token) {
  if (!token || HEADER.test(token)) return url;
  const address = new URL(url);
  address.searchParams.set("token", token);
  return address.href;
}
