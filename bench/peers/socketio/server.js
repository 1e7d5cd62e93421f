"use strict";

// The everyday room server on Socket.IO with its Redis adapter, with what its own pages on performance and memory
// advise: websocket transport only, bufferutil, no compression, the first HTTP request of each client let go.
// `socket.to(room)` reaches all clients of the room but the sender. The adapter delivers to the clients of its own
// process at once and tells the others through Redis.

const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const Redis = require("ioredis");
const { Server } = require("socket.io");

const publisher = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
const subscriber = new Redis(process.env.REDIS_URL);

const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(publisher, subscriber),
  transports: ["websocket"],
  serveClient: false,
  perMessageDeflate: false,
  pingInterval: 25000,
  pingTimeout: 20000,
});

io.engine.on("connection", (connection) => {
  connection.request = null;
});

io.on("connection", (socket) => {
  socket.on("join", async (channel) => {
    await socket.join(channel);
    socket.emit("joined", channel);
  });
  socket.on("publish", (channel, message) => {
    socket.to(channel).emit("message", message);
  });
});

http.listen(Number(process.env.PORT), "127.0.0.1");
