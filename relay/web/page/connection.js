// How a client of the page connects, by each of the protocols.

import { RelayClient } from "../client/relay-client.js";
import { CentrifugeClient } from "./centrifuge-client.js";
import { channelPath, placeOf, query, serverUrl, socketUrl } from "./message.js";

// Returns { client, address, position }. `position` tells where the client is, as { epoch, offset } or null; it is null
// itself where the client can't say, or says so by itself.
//
//   wanted: { channel, user, token, protocol }; `user` is "" where clients don't say who they are.
//   server: what this server allows.
//   on: onState, onMessage; for events also onMissed; for Centrifuge also onRefused, onPosition, onHere. See CentrifugeClient.
export function connection({ channel, user, token, protocol }, server, on) {
  const common = { token: () => token, maxMessageBytes: server.max_message_bytes };
  const path = channelPath(channel);
  if (protocol === "centrifuge") {
    const address = socketUrl(`connection/websocket${query({ user })}`).href;
    return { address, client: new CentrifugeClient(address, { ...common, channel, ...on }), position: null };
  }
  const onMessage = (data, { position }) => on.onMessage(data, placeOf(position)?.offset);
  if (protocol === "events") {
    const client = new RelayClient(socketUrl(`ws/${path}${query({ user })}`), {
      ...common,
      transport: "events",
      onState: (state) => on.onState({ ...state, after: placeOf(client.position)?.offset }),
      onMissed: (position) => position !== null && on.onMissed(),
      onMessage,
    });
    return { address: serverUrl(`sse/${path}${query({ user })}`).href, client, position: () => placeOf(client.position) };
  }
  // With its own messages, which come back through the bus: so what one sees is the order that all see.
  const address = socketUrl(`ws/${path}${query({ echo: 1, user })}`).href;
  const { onState } = on;
  const options = { ...common, transport: "websocket", subprotocol: server.subprotocol, onState, onMessage };
  return { address, client: new RelayClient(address, options), position: null };
}
