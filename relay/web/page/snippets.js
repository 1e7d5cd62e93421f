// How to reach a channel of this server from elsewhere: lines to copy.

import { channelPath } from "./message.js";

// Returns [{ title, code }].
//
//   origin: of this page, such as "http://localhost:8000".
//   channel: its name.
//   prefix: of channels on Redis; null when the bus is not a Redis.
export function snippets({ origin, channel, prefix }) {
  const path = channelPath(channel);
  const socket = `${origin.replace(/^http/, "ws")}/ws/${path}`;
  const found = [
    { title: "Browser", code: browser(socket) },
    { title: "Python, websockets", code: python(socket) },
    { title: "Publish with curl", code: `curl -d hello ${shell(`${origin}/publish/${path}`)}` },
    { title: "Listen with curl (server-sent events)", code: `curl -N ${shell(`${origin}/sse/${path}`)}` },
  ];
  if (prefix !== null) {
    found.push({ title: "Publish through Redis", code: `redis-cli PUBLISH ${shell(prefix + channel)} hello` });
  }
  return found;
}

function browser(socket) {
  return `const socket = new WebSocket("${socket}");
socket.onmessage = (event) => console.log(event.data);
socket.onopen = () => socket.send("hello");`;
}

function python(socket) {
  return `import asyncio
from websockets.asyncio.client import connect

async def main():
    async with connect("${socket}") as socket:
        await socket.send("hello")
        async for message in socket:
            print(message)

asyncio.run(main())`;
}

// Returns a word of a shell's command line, quoted where that is needed.
function shell(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
