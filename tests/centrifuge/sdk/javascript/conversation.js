// What a driver does with the SDK, in Node and in a page alike: it tells events, and obeys commands.

globalThis.converse = function converse(Centrifuge, options, tell) {
    const text = new TextEncoder();
    const bytes = new TextDecoder();
    const packed = (value) => (options.protobuf ? text.encode(JSON.stringify(value)) : value);
    const unpacked = (value) => (options.protobuf ? JSON.parse(bytes.decode(value)) : value);
    const wanted = {}; // by channel; "": of the connection
    const wish = (channel) => new Promise((resolve) => {
        (wanted[channel] ||= []).push(resolve);
        tell({event: "token", channel});
    });

    const {transport} = options;
    const site = options.url.replace("ws://", "http://").replace("/connection/websocket", "");
    const endpoint = transport === "websocket" ? options.url : `${site}/connection/${transport}`;
    const client = new Centrifuge([{transport, endpoint}], {
        ...options.surroundings,
        emulationEndpoint: `${site}/emulation`,
        getToken: () => wish(""),
        minReconnectDelay: 50,
        maxReconnectDelay: 500,
    });
    client.on("connected", () => tell({event: "connected"}));
    client.on("connecting", ({code, reason}) => tell({event: "connecting", code, reason}));
    client.on("disconnected", ({code, reason}) => tell({event: "disconnected", code, reason}));

    const subscription = client.newSubscription(options.channel, {
        getToken: ({channel}) => wish(channel),
        recoverable: true, positioned: true, joinLeave: true, minResubscribeDelay: 50, maxResubscribeDelay: 500,
    });
    subscription.on("subscribed", ({wasRecovering, recovered}) => tell({event: "subscribed", wasRecovering, recovered}));
    subscription.on("unsubscribed", ({code, reason}) => tell({event: "unsubscribed", code, reason}));
    subscription.on("publication", ({data, offset}) => tell({event: "publication", data: unpacked(data), offset}));
    subscription.on("join", ({info}) => tell({event: "join", user: info.user}));

    const verbs = {
        publish: async ({data}) => (await subscription.publish(packed(data)), null),
        presence: async () => Object.values((await subscription.presence()).clients).map((info) => info.user),
        stats: async () => {
            const {numClients, numUsers} = await subscription.presenceStats();
            return [numClients, numUsers];
        },
        history: async ({limit}) => (await subscription.history({limit})).publications.map(({data}) => unpacked(data)),
        end: async () => (client.disconnect(), null),
    };
    subscription.subscribe();
    client.connect();

    return async function obey(command) {
        if (command.token) {
            wanted[command.channel].shift()(command.token);
            return;
        }
        try {
            tell({event: "answer", number: command.number, value: await verbs[command.verb](command)});
        } catch (error) {
            tell({event: "answer", number: command.number, error: `${error.code}: ${error.message}`});
        }
    };
};
