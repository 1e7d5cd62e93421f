// Puts the page together: one panel, perhaps a second one, and how to connect.

import { accessInWords, rememberedToken, rememberToken } from "./access.js";
import { showSnippets } from "./connect.js";
import { Panel } from "./panel.js";

const NAME = "relay-playground-name"; // where the browser keeps it

const find = (id) => document.getElementById(id);
const server = await about();

if (server === null) find("trouble").hidden = false;
else start();

// What this server allows; null when it doesn't answer.
async function about() {
  try {
    const answer = await fetch(new URL("server.json", import.meta.url));
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function start() {
  find("access").textContent = accessInWords(server);
  find("access").hidden = false;
  const first = addPanel("Client 1", remembered() || madeUpName(), rememberedToken(), shown);
  first.root.addEventListener("change", () => {
    remember(first.name);
    rememberToken(first.token);
  });
  first.join(fromAddress()) || first.join(server.default_channel);
  find("host").textContent = location.host;
  window.addEventListener("hashchange", () => fromAddress() !== first.channel && first.join(fromAddress()));

  const opener = find("second");
  opener.disabled = false;
  opener.addEventListener("click", () => {
    opener.disabled = true;
    openSecond(first, () => {
      opener.disabled = false;
      opener.focus();
    });
  });
}

// With the token of the first client, which may be changed: two users see what each of them may do.
function openSecond(first, onClose) {
  const second = addPanel("Client 2", madeUpName(), first.token);
  const close = second.root.querySelector(".close");
  close.hidden = false;
  close.addEventListener("click", () => {
    second.close();
    onClose();
  });
  second.join(first.channel);
  second.focus();
}

function addPanel(title, name, token, onChannel) {
  const root = find("panel").content.firstElementChild.cloneNode(true);
  find("connect").before(root);
  const panel = new Panel(root, { server, title, onChannel });
  panel.name = name;
  panel.token = token;
  return panel;
}

// Says in the title, in the address and in the lines to copy which channel the first client is in.
function shown(channel) {
  document.title = `${channel} \u2013 relay playground`;
  const fragment = `#${encodeURIComponent(channel)}`;
  if (location.hash !== fragment) history.replaceState(null, "", fragment);
  const { auth, subprotocol, redis_prefix: prefix } = server;
  showSnippets(find("snippets"), find("told"), { origin: location.origin, channel, prefix, auth, subprotocol });
}

function fromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || server.default_channel;
  } catch {
    return server.default_channel; // a broken % in the address
  }
}

function madeUpName() {
  return `guest-${100 + Math.floor(Math.random() * 900)}`;
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
