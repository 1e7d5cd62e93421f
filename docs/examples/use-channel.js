// A hook for React: const { state, send } = useChannel("wss://relay.example.com/ws/lobby", { onMessage, token });

import { useEffect, useRef, useState } from "react";
import { RelayClient } from "http://localhost:8000/client/relay-client.js"; // or from "relay-client", the npm package

export function useChannel(url, options) {
  const [state, setState] = useState({ name: "connecting" });
  const latest = useRef(options);
  const client = useRef(null);

  useEffect(() => {
    latest.current = options; // the functions of the newest rendering, without a new connection
  });

  useEffect(() => {
    client.current = new RelayClient(url, {
      ...latest.current,
      onState: setState,
      onMessage: (...told) => latest.current.onMessage?.(...told),
      onMissed: (...told) => latest.current.onMissed?.(...told),
      token: () => latest.current.token?.() ?? "",
    });
    client.current.start();
    return () => client.current.stop();
  }, [url]);

  return { state, send: (data) => (client.current === null ? "not connected" : client.current.send(data)) };
}
