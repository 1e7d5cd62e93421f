// A hook for React: const { state, send } = useChannel("wss://relay.example.com/ws/lobby", handle, { token });

import { useEffect, useRef, useState } from "react";
import { RelayClient } from "http://localhost:8000/client/relay-client.js"; // or from "relay-client"

export function useChannel(url, onMessage, options = {}) {
  const newest = useRef(null);
  newest.current = { onMessage, ...options }; // a component makes new functions each time it renders
  const client = useRef(null);
  const [state, setState] = useState({ name: "closed" });

  useEffect(() => {
    client.current = new RelayClient(url, {
      ...newest.current,
      token: () => newest.current.token?.() ?? "",
      onMessage: (data, context) => newest.current.onMessage(data, context),
      onMissed: (position) => newest.current.onMissed?.(position),
      onState: setState,
    });
    client.current.start();
    return () => client.current.stop();
  }, [url]);

  return { state, send: (data) => client.current.send(data) };
}
