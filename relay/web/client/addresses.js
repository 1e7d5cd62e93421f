// Where a channel is: for a WebSocket, and by HTTP.

/**
 * Returns the addresses of a channel: by transport, and `publish` and `any`, which the server answers whatever it says.
 * Those of events are null where the path doesn't end with /ws/CHANNEL.
 */
export function addressesOf(url) {
  const socket = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  socket.protocol = socket.protocol.replace("http", "ws");
  socket.hash = "";
  const [, before, channel = ""] = /^(.*?)(?:\/ws(\/.*)?|\/)$/s.exec(socket.pathname) ?? [];
  const plain = new URL(socket);
  plain.protocol = socket.protocol.replace("ws", "http");
  const byHttp = (path, ...unused) => {
    if (before === undefined) return null;
    const address = new URL(plain);
    address.pathname = `${before}/${path}${channel}`;
    for (const name of unused) address.searchParams.delete(name);
    return address.href;
  };
  return {
    websocket: socket.href,
    events: byHttp("sse", "echo"),
    publish: byHttp("publish", "echo", "history", "join_leave", "last_event_id"),
    any: plain.origin + plain.pathname,
  };
}
