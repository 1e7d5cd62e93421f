// Publish over a connection that an agent keeps, and open a WebSocket of the package `ws` over it.
const http = require("node:http");

let WebSocket;
try {
    WebSocket = require("ws");
} catch {
    process.exit(3); // it isn't installed
}
const [host, port] = process.argv[2].split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const fail = (why) => {
    console.error(why);
    process.exit(1);
};

const publish = http.request({ host, port, agent, method: "POST", path: "/publish/a", headers: { "Content-Type": "text/plain" } });
publish.on("error", fail);
publish.on("response", (answer) => answer.resume().on("end", () => setImmediate(connect)));
publish.end("x");

function connect() {
    const before = Object.values(agent.freeSockets).flat().map((socket) => socket.localPort);
    const client = new WebSocket(`ws://${host}:${port}/ws/a?echo=1`, { agent });
    client.on("error", fail);
    client.on("upgrade", (answer) => {
        if (!before.includes(answer.socket.localPort)) fail("the connection was not used again");
    });
    client.on("open", () => client.send("hello"));
    client.on("message", (data) => {
        console.log(String(data));
        process.exit(0);
    });
}
