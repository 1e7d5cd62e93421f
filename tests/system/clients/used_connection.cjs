// Publish over a connection that is kept, and make it a WebSocket: as the package `ws` does with an agent of the program's.
const http = require("node:http");
const [host, port] = process.argv[2].split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const fail = (why) => {
    console.error(why);
    process.exit(1);
};

const publish = http.request({ host, port, agent, method: "POST", path: "/publish/a", headers: { "Content-Type": "text/plain" } });
publish.on("error", fail);
publish.on("response", (answer) => answer.resume().on("end", () => setImmediate(upgrade)));
publish.end("x");

function upgrade() {
    const headers = {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const request = http.get({ host, port, agent, path: "/ws/a?echo=1", headers });
    request.on("error", fail);
    request.on("response", (answer) => fail(`status ${answer.statusCode}`));
    request.on("upgrade", (_answer, socket) => {
        if (!request.reusedSocket) fail("the connection was not used again");
        socket.on("data", (data) => {
            console.log(data.subarray(2).toString());
            process.exit(0);
        });
        socket.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]));
    });
}
