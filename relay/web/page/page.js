// Puts the page together: one client, perhaps a second one, and how to connect.

import { accessInWords, rememberedToken, rememberToken } from "./access.js";
import { showDocuments, showSnippets } from "./connect.js";
import { Panel } from "./panel.js";

const NAME = "relay-playground-name"; // where the browser keeps it

const find = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll("[data-shows]")];
let second = null;
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
  find("host").textContent = location.host;
  find("access").textContent = accessInWords(server);
  showDocuments(find("documents"), server.documents);
  const first = addPanel(1, remembered() || madeUpName(), rememberedToken(), joined);
  first.root.addEventListener("change", () => {
    remember(first.name);
    rememberToken(first.token);
  });
  first.join(fromAddress()) || first.join(server.default_channel);
  delete document.body.dataset.loading;
  window.addEventListener("hashchange", () => fromAddress() !== first.channel && first.join(fromAddress()));

  find("second").disabled = false;
  find("second").addEventListener("click", () => openSecond(first));
  for (const tab of tabs) {
    tab.disabled = false;
    tab.addEventListener("click", () => {
      if (tab.dataset.shows === "2" && second === null) openSecond(first);
      show(tab.dataset.shows);
    });
  }
}

// With the token of the first client, which may be changed: two users see what each of them may do.
function openSecond(first) {
  find("second").disabled = true;
  second = addPanel(2, madeUpName(), first.token);
  const close = second.root.querySelector("[data-part=close]");
  close.hidden = false;
  close.addEventListener("click", () => {
    second.close();
    second = null;
    show("1");
    find("second").disabled = false;
    const seen = find("second").checkVisibility() ? find("second") : tabs[1];
    seen.focus();
  });
  second.join(first.channel);
  show("2");
  second.focus();
}

// On a small screen one part is seen at a time: "1", "2" or "connect".
function show(part) {
  document.body.dataset.shown = part;
  for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.shows === part));
}

function addPanel(number, name, token, onJoin) {
  const root = find("panel").content.firstElementChild.cloneNode(true);
  root.dataset.shownAs = number;
  find("connect").before(root);
  const panel = new Panel(root, { server, title: `Client ${number}`, onJoin });
  panel.name = name;
  panel.token = token;
  return panel;
}

// Says in the title, in the address and in the lines to copy where the first client is.
function joined(channel, address) {
  document.title = `${channel} \u2013 relay playground`;
  if (fromAddress() !== channel || location.hash === "") history.replaceState(null, "", fragment(channel));
  find("address").textContent = address;
  const { auth, subprotocol, redis_prefix: prefix } = server;
  showSnippets(find("snippets"), find("told"), { origin: location.origin, channel, prefix, auth, subprotocol });
}

// As readable as it may be: a browser encodes what it must.
function fragment(channel) {
  return `#${channel.replaceAll("%", "%25")}`;
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
