// What docs/auth.md uses of Express, for machines that haven't got it.
const http = require("node:http");

function decorate(response) {
  response.status = (code) => Object.assign(response, { statusCode: code });
  response.set = (name, value) => (response.setHeader(name, value), response);
  response.send = (text) => response.end(text);
  response.json = (value) => response.set("Content-Type", "application/json").send(JSON.stringify(value));
  response.cookie = (name, value, { httpOnly, secure, sameSite }) => {
    const flags = [httpOnly && "HttpOnly", secure && "Secure", `SameSite=${sameSite}`].filter(Boolean);
    response.appendHeader("Set-Cookie", [`${name}=${value}`, "Path=/", ...flags].join("; "));
  };
  return response;
}

async function read(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : undefined;
}

module.exports = function express() {
  const routes = new Map();
  const add = (method) => (path, handler) => routes.set(`${method} ${path}`, handler);
  return {
    use() {},
    get: add("GET"),
    post: add("POST"),
    listen(port, host) {
      const answer = async (request, response) => {
        request.body = await read(request);
        const handler = routes.get(`${request.method} ${request.url}`);
        handler ? handler(request, decorate(response)) : response.writeHead(404).end();
      };
      return http.createServer(answer).listen(port, host);
    },
  };
};
module.exports.json = () => undefined;
