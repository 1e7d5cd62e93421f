// Puts the page together: one panel, perhaps a second one, and how to connect.

import { showSnippets } from "./connect.js";
import { Panel } from "./panel.js";

const NAME = "relay-playground-name"; // where the browser keeps it

const find = (id) => document.getElementById(id);
const server = await (await fetch(new URL("server.json", import.meta.url))).json();

const first = addPanel("Client 1", (channel) => {
  document.title = `${channel} \u2013 relay playground`;
  const fragment = `#${encodeURIComponent(channel)}`;
  if (location.hash !== fragment) history.replaceState(null, "", fragment);
  const origin = location.origin;
  showSnippets(find("snippets"), find("told"), { origin, channel, prefix: server.redis_prefix });
});
let second = null;

first.name = remembered() || `guest-${100 + Math.floor(Math.random() * 900)}`;
first.root.addEventListener("change", () => remember(first.name));
first.join(fromAddress()) || first.join(server.default_channel);
find("host").textContent = location.host;

window.addEventListener("hashchange", () => {
  if (fromAddress() !== first.channel) first.join(fromAddress());
});

find("second").addEventListener("click", () => {
  second = addPanel("Client 2");
  second.name = `guest-${100 + Math.floor(Math.random() * 900)}`;
  second.join(first.channel);
  const close = second.root.querySelector(".close");
  close.hidden = false;
  close.addEventListener("click", () => {
    second.close();
    second = null;
    find("second").disabled = false;
    find("second").focus();
  });
  find("second").disabled = true;
  second.focus();
});

function addPanel(title, onChannel) {
  const root = find("panel").content.firstElementChild.cloneNode(true);
  find("connect").before(root);
  return new Panel(root, { server, title, onChannel });
}

function fromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || server.default_channel;
  } catch {
    return server.default_channel; // a broken % in the address
  }
}

// A browser may forbid to keep anything.
function remembered() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function remember(name) {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // Then it is asked for again next time.
  }
}
