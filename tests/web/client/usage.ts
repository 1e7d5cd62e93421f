// How an application uses the types; each line after @ts-expect-error must be an error.

import { comesBack, RelayClient, type Ending, type Options, type State, type Transport } from "relay-client";

const options: Options = {
  onMessage: (data, { position }) => {
    const text: string = typeof data === "string" ? data : new TextDecoder().decode(data);
    const known: string | null = position;
    console.log(text, known);
  },
  onState: (state) => {
    if (state.name === "waiting") console.log(new Date(state.until), ending(state));
    if (state.name === "closed") console.log(ending(state));
    // @ts-expect-error: only who waits knows until when
    console.log(state.until);
  },
  onMissed: (position) => console.log(position?.split(":")),
  token: async () => "secret",
  transport: "events",
  since: "mC4xW0:17",
  maxMessageBytes: 65536,
};

function ending({ opened, code, reason, status }: Ending): string {
  return opened || comesBack(code) ? reason : String(status?.toFixed());
}

const client = new RelayClient(new URL("wss://relay.example.com/ws/lobby"), options);
client.start();
const problem: string | null = client.send("hello");
client.send(new ArrayBuffer(1));
client.send(new Uint8Array(1));
client.renew("no answer", 0);
client.giveUp("not let in");
const state: State = client.state;
const transport: Transport | null = state.name === "open" ? state.transport : null;
const position: string | null = client.position;
client.stop();
console.log(problem, transport, position);
new RelayClient("/ws/lobby", { transport: "events", since: position }).start(); // as another one left off

// @ts-expect-error: the state is told, not set
client.state = state;
// @ts-expect-error: no other kinds of messages
client.send({ text: "hello" });
// @ts-expect-error: there is no such transport
new RelayClient("/ws/lobby", { transport: "pigeon" });
// @ts-expect-error: an address is needed
new RelayClient();
