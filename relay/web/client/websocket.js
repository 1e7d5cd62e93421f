// One connection to a channel over a WebSocket.

const SUBPROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // characters that the name of a subprotocol may have

/**
 * A link is opened by its constructor, and ends once: by `close`, or by itself, with `onEnd`.
 *
 * options: url; token; subprotocol; patience, ms until it must be open; maxBufferedBytes.
 * handlers: onOpen(resumed), onMessage(data, position), onEnd({ code, reason }).
 */
export class SocketLink {
  static transport = "websocket";
  #socket;
  #maxBufferedBytes;
  #impatience;
  #over = false;

  constructor({ url, token, subprotocol, patience, maxBufferedBytes }, { onOpen, onMessage, onEnd }) {
    this.#maxBufferedBytes = maxBufferedBytes;
    const socket = connect(url, token, subprotocol);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false;
    const end = (ending) => {
      clearTimeout(this.#impatience);
      if (this.#over) return;
      this.#over = true;
      onEnd(ending);
    };
    this.#impatience = setTimeout(() => {
      end({ code: 1006, reason: "", late: true });
      socket.close();
    }, patience);
    socket.onopen = () => {
      clearTimeout(this.#impatience);
      if (this.#over) return;
      opened = true;
      onOpen(false);
    };
    socket.onmessage = ({ data }) => {
      if (!this.#over) onMessage(data, null);
    };
    // `onclose` follows, but for some versions of Node when the connection can't be made.
    socket.onerror = () => {
      if (!opened) end({ code: 1006, reason: "" });
    };
    socket.onclose = ({ code, reason }) => end({ code, reason });
  }

  // Returns null, or says why nothing was sent.
  send(data, size) {
    // After its end a socket's send() drops what it is given, without a word.
    if (this.#socket.readyState !== this.#socket.OPEN) return "not connected";
    // send() never blocks: what the network doesn't take piles up in memory, unless the client looks.
    if (this.#socket.bufferedAmount + size > Math.max(this.#maxBufferedBytes, size)) return "too much is waiting to be sent";
    this.#socket.send(data);
    return null;
  }

  close(code) {
    clearTimeout(this.#impatience);
    this.#over = true;
    this.#socket.close(code);
  }
}

// A page can set no header of a WebSocket, and URLs get into logs: so the token goes where subprotocols do, beside a
// true one, which is the one that the server answers with. Only a token with other characters takes the URL.
function connect(url, token, subprotocol) {
  if (!token) return new WebSocket(url);
  if (SUBPROTOCOL.test(token)) return new WebSocket(url, [subprotocol, `bearer.${token}`]);
  const address = new URL(url);
  address.searchParams.set("token", token);
  return new WebSocket(address);
}
