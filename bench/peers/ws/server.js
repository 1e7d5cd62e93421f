"use strict";

// The everyday broadcast server on `ws`: what its README teaches (broadcast, heartbeat), and the settings that help:
// no compression, bufferutil, one Redis subscription per channel, Buffers passed on as they are, pipelined commands.
// All clients of a channel hear a message, its sender too.

const Redis = require("ioredis");
const { WebSocketServer, WebSocket } = require("ws");

const PREFIX = "ws:";
const PING_INTERVAL_MS = 25000;

const publisher = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
const subscriber = new Redis(process.env.REDIS_URL);
const channels = new Map(); // name on Redis -> clients

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  perMessageDeflate: false,
});

server.on("connection", (client, request) => {
  const channel = PREFIX + request.url.replace(/^\/ws\//, "");
  join(channel, client);
  client.isAlive = true;
  client.on("pong", () => {
    client.isAlive = true;
  });
  client.on("message", (data) => {
    publisher.publish(channel, data).catch(complain);
  });
  client.on("close", () => leave(channel, client));
  client.on("error", complain);
});

subscriber.on("messageBuffer", (channel, data) => {
  for (const client of channels.get(channel.toString()) ?? []) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
  }
});

setInterval(() => {
  for (const client of server.clients) {
    if (!client.isAlive) {
      client.terminate();
    } else {
      client.isAlive = false;
      client.ping();
    }
  }
}, PING_INTERVAL_MS);

function join(channel, client) {
  let clients = channels.get(channel);
  if (!clients) {
    clients = new Set();
    channels.set(channel, clients);
    subscriber.subscribe(channel).catch(complain);
  }
  clients.add(client);
}

function leave(channel, client) {
  const clients = channels.get(channel);
  clients.delete(client);
  if (clients.size === 0) {
    channels.delete(channel);
    subscriber.unsubscribe(channel).catch(complain);
  }
}

function complain(error) {
  console.error(error.message);
}
