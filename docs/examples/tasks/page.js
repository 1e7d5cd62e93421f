import { RelayClient } from "/client/relay-client.js";

const RELAY = "http://localhost:8000";
const $ = (id) => document.getElementById(id);
const json = (body) => ({ headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
let me = "";

// --- who is logged in ---

// The client asks for a token each time it connects. The session decides: after a log-out there is none.
async function token() {
  const response = await fetch("/relay-token");
  if (response.status === 401) location.reload();
  const answer = await response.json();
  me = answer.user;
  return answer.token;
}

// --- messages ---

const handlers = {
  task: ({ task }) => showTask(task),
};

function handle(text) {
  const message = JSON.parse(text);
  handlers[message.type]?.(message); // a type that this page doesn't know yet is passed over
}

// --- the state, and everything from there on ---

let client = null;

async function begin() {
  client?.stop();
  const response = await fetch("/tasks").catch(() => null);
  const state = response?.ok ? await response.json() : null;
  if (state !== null) $("tasks").replaceChildren();
  state?.tasks.forEach(showTask);
  if (!state?.position) return setTimeout(begin, 1000 + 4000 * Math.random()); // the application or the relay is away
  client = new RelayClient(`${RELAY}/ws/tasks:1`, {
    transport: "events",
    since: state.position,
    token,
    onMessage: handle,
    onMissed: begin, // the relay can't send what came since: load the state anew
    onState: ({ name }) => {
      $("state").textContent = name;
      if (name === "open") showPeople();
    },
  });
  client.start();
}

function showTask({ id, text, by, done }) {
  let line = $(`task-${id}`);
  if (line === null) {
    line = document.createElement("li");
    line.id = `task-${id}`;
    line.innerHTML = "<label><input type=checkbox> <span></span></label>";
    line.querySelector("input").onchange = ({ target }) =>
      fetch(`/tasks/${id}/done`, { method: "PUT", ...json({ done: target.checked }) });
    $("tasks").append(line);
  }
  line.querySelector("input").checked = done;
  line.querySelector("span").textContent = `${text} (${by})`; // never innerHTML: others have written it
}

// --- who is here ---

async function showPeople() {
  const response = await fetch("/people").catch(() => null);
  if (response?.ok) $("people").textContent = `Here: ${(await response.json()).join(", ")}`;
}

// --- who is typing ---

let typing = null;
let said = 0;
let quiet = 0;

function beginTyping() {
  typing = new RelayClient(`${RELAY}/ws/typing:1`, {
    token,
    onMessage: (text) => {
      const message = JSON.parse(text);
      if (message.type !== "typing") return;
      $("typing").textContent = `${message.user} is typing ...`;
      clearTimeout(quiet);
      quiet = setTimeout(() => ($("typing").textContent = ""), 4000);
    },
  });
  typing.start();
}

$("add").oninput = () => {
  if (Date.now() - said < 2000) return; // once in two seconds is enough
  said = Date.now();
  typing.send(JSON.stringify({ type: "typing", user: me }));
};

// --- the page ---

$("add").onsubmit = (event) => {
  event.preventDefault();
  fetch("/tasks", { method: "POST", ...json({ text: event.target.text.value }) });
  event.target.reset();
};

$("login").onsubmit = async (event) => {
  event.preventDefault();
  await fetch("/login", { method: "POST", ...json({ name: event.target.name.value }) });
  location.reload();
};

const loggedIn = (await fetch("/relay-token")).ok;
$("login").hidden = loggedIn;
$("main").hidden = !loggedIn;
if (loggedIn) {
  begin();
  beginTyping();
  setInterval(showPeople, 10_000);
}
