// The official SDK for JavaScript over one transport of HTTP. Commands come by standard input and events leave by
// standard output, one JSON value a line.

import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {EventSource} from "../sdk/javascript/event_source.mjs";

const {Centrifuge} = createRequire(`${process.env.SDK_FOLDER}/package.json`)("centrifuge");

const told = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const url = process.env.SDK_URL;
const transport = process.env.SDK_TRANSPORT;
const client = new Centrifuge([{transport, endpoint: `${url}/connection/${transport}`}], {
    emulationEndpoint: `${url}/emulation`,
    eventsource: EventSource,
    fetch,
    readableStream: ReadableStream,
    minReconnectDelay: 50,
    maxReconnectDelay: 300,
    timeout: 2000,
});
client.on("connected", (context) => told({connected: context.transport}));
client.on("connecting", (context) => told({connecting: context.code}));
client.on("disconnected", (context) => told({disconnected: context.code, reason: context.reason}));
const subscription = client.newSubscription(process.env.SDK_CHANNEL);
subscription.on("subscribed", (context) => told({subscribed: context.wasRecovering, recovered: context.recovered}));
subscription.on("unsubscribed", (context) => told({unsubscribed: context.code}));
subscription.on("publication", (context) => told({data: context.data}));
subscription.subscribe();
client.connect();

const commands = {
    publish: (data) => subscription.publish(data),
    history: () => subscription.history({limit: 1000}).then((found) => found.publications.map((one) => one.data)),
    rpc: () => client.rpc("nothing", {}),
    end: () => client.disconnect(),
};

createInterface({input: process.stdin})
    .on("line", (line) => {
        const {command, id, value} = JSON.parse(line);
        Promise.resolve(commands[command](value)).then(
            (result) => told({answer: id, result: result ?? null}),
            (error) => told({answer: id, error: error.code ?? String(error)}),
        );
    })
    .on("close", () => process.exit(0));
