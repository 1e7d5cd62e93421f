// The SDK under Node. Commands come by standard input and events leave by standard output, one JSON object a line.

import {createInterface} from "node:readline";
import {Centrifuge as Json} from "centrifuge";
import {Centrifuge as Protobuf} from "centrifuge/build/protobuf";
import WebSocket from "ws";
import {EventSource} from "./event_source.mjs";
import "./conversation.js";

const protobuf = process.env.SDK_FORMAT === "protobuf";
const options = {
    url: process.env.SDK_URL,
    channel: process.env.SDK_CHANNEL,
    transport: process.env.SDK_TRANSPORT,
    protobuf,
    surroundings: {websocket: WebSocket, eventsource: EventSource, fetch, readableStream: ReadableStream},
};
const obey = converse(protobuf ? Protobuf : Json, options, (event) => process.stdout.write(`${JSON.stringify(event)}\n`));

createInterface({input: process.stdin})
    .on("line", (line) => obey(JSON.parse(line)))
    .on("close", () => process.exit(0));
