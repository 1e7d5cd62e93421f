// The broadcast server of uWebSockets: its own publish/subscribe, within one process and without Redis. A message goes
// to all clients of its channel but its sender.

#include <cstdlib>
#include <iostream>
#include <string>

#include "App.h"

struct Client {
    std::string channel;
};

static const unsigned MEBIBYTE = 1024 * 1024;

int main() {
    const int port = std::atoi(std::getenv("PORT"));
    uWS::App app;

    app.ws<Client>("/ws/:channel", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = MEBIBYTE,
        // A ping 16 seconds before: after 24 quiet ones. Its timers count in steps of four.
        .idleTimeout = 40,
        // As much as the relay keeps for a slow client before it closes it.
        .maxBackpressure = MEBIBYTE,
        .closeOnBackpressureLimit = true,
        .resetIdleTimeoutOnSend = false,
        .sendPingsAutomatically = true,
        .upgrade = [](auto *response, auto *request, auto *context) {
            response->template upgrade<Client>(
                {std::string(request->getParameter(0))},
                request->getHeader("sec-websocket-key"),
                request->getHeader("sec-websocket-protocol"),
                request->getHeader("sec-websocket-extensions"),
                context);
        },
        .open = [](auto *client) { client->subscribe(client->getUserData()->channel); },
        .message = [](auto *client, std::string_view message, uWS::OpCode opcode) {
            client->publish(client->getUserData()->channel, message, opcode);
        },
    });
    app.listen("127.0.0.1", port, [port](auto *socket) {
        if (!socket) {
            std::cerr << "can't listen on port " << port << std::endl;
            std::exit(1);
        }
    });
    app.run();
}
