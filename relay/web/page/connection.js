// How a client of the page connects, by each of the protocols.

import { CentrifugeClient } from "./centrifuge-client.js";
import { channelPath, query, socketUrl } from "./message.js";
import { RelayClient } from "./relay-client.js";

// Returns { client, address }.
//
//   wanted: { channel, user, token, protocol }; `user` is "" where clients don't say who they are.
//   server: what this server allows.
//   on: onState, onMessage, and for Centrifuge also onRefused, onPosition, onHere; see CentrifugeClient.
export function connection({ channel, user, token, protocol }, server, on) {
  const common = { token: () => token, maxMessageBytes: server.max_message_bytes };
  if (protocol === "centrifuge") {
    const address = socketUrl(`connection/websocket${query({ user })}`).href;
    return { address, client: new CentrifugeClient(address, { ...common, channel, ...on }) };
  }
  // With its own messages, which come back through the bus: so what one sees is the order that all see.
  const address = socketUrl(`ws/${channelPath(channel)}${query({ echo: 1, user })}`).href;
  const { onState, onMessage } = on;
  return { address, client: new RelayClient(address, { ...common, subprotocol: server.subprotocol, onState, onMessage }) };
}
