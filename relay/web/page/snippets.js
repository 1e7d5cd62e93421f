// How to reach a channel of this server from elsewhere: lines to copy.

import { channelPath } from "./message.js";

const NO_ECHO = "It does not hear its own messages. With ?echo=1 at the end of the address it does, as this page's clients do.";
const JSON_ALONE = "It hears JSON alone: a bare hello, as the others send it here, is left out unless RELAY_NO_JSON is string.";

// Returns [{ title, code, note }]. `note` is what one may wonder about, if anything.
//
//   origin: of this page, such as "http://localhost:8000".
//   channel: its name.
//   prefix: of channels on Redis; null when the bus is not a Redis.
//   auth: how clients are identified. Where they need a key or token, TOKEN stands for it: never the one of this page.
//   subprotocol: a true one, to be offered beside the token.
export function snippets({ origin, channel, prefix, auth, subprotocol }) {
  const path = channelPath(channel);
  const socket = `${origin.replace(/^http/, "ws")}/ws/${path}`;
  const open = auth === "none";
  const curl = open ? "curl" : "curl -H 'Authorization: Bearer TOKEN'";
  const found = [
    { title: "Browser", code: browser(open ? `"${socket}"` : `"${socket}", ["${subprotocol}", "bearer.TOKEN"]`), note: NO_ECHO },
    { title: "Browser, comes back by itself", code: relayClient(origin, socket, open) },
    {
      title: "Python, websockets",
      code: python(socket, open ? "" : ', additional_headers={"Authorization": "Bearer TOKEN"}'),
      note: NO_ECHO,
    },
    { title: "Python, comes back by itself (relay.Client)", code: pythonClient(origin, channel, open) },
    { title: "Centrifuge's client (npm install centrifuge)", code: centrifuge(origin, channel, open), note: JSON_ALONE },
    { title: "Publish with curl", code: `${curl} -d hello ${shell(`${origin}/publish/${path}`)}` },
    { title: "Listen with curl (server-sent events)", code: `${curl} -N ${shell(`${origin}/sse/${path}`)}` },
  ];
  if (auth === "jwt") {
    found.unshift({ title: "Make a token", code: `relay token --user ann --channel ${shell(`${channel}=rw`)} --ttl 1h` });
  }
  if (prefix !== null) {
    found.push({ title: "Publish through Redis", code: `redis-cli PUBLISH ${shell(prefix + channel)} hello` });
  }
  return found;
}

function browser(given) {
  return `const socket = new WebSocket(${given});
socket.onmessage = (event) => console.log(event.data);
socket.onopen = () => socket.send("hello");`;
}

function relayClient(origin, socket, open) {
  return `import { RelayClient } from "${origin}/client/relay-client.js";

const client = new RelayClient("${socket}", {
  onMessage: (data) => console.log(data),${open ? "" : '\n  token: () => "TOKEN",'}
});
client.start();`;
}

function centrifuge(origin, channel, open) {
  const url = `${origin.replace(/^http/, "ws")}/connection/websocket`;
  return `import { Centrifuge } from "centrifuge";

const client = new Centrifuge("${url}"${open ? "" : ', { token: "TOKEN" }'});
const channel = client.newSubscription(${JSON.stringify(channel)});
channel.on("publication", ({ data }) => console.log(data));
channel.subscribe();
client.connect();`;
}

function python(socket, headers) {
  return `import asyncio
from websockets.asyncio.client import connect

async def main():
    async with connect("${socket}"${headers}) as socket:
        await socket.send("hello")
        async for message in socket:
            print(message)

asyncio.run(main())`;
}

function pythonClient(origin, channel, open) {
  return `import asyncio
import relay

async def main():
    async with relay.Client("${origin}"${open ? "" : ', token="TOKEN"'}) as client:
        async for message in client.subscribe(${JSON.stringify(channel)}):
            print(message.data)

asyncio.run(main())`;
}

// Returns a word of a shell's command line, quoted where that is needed.
function shell(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
