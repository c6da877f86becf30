import { PushClient } from "@push/client";

const CHANNEL = "chat:lobby";
/** Milliseconds after the last key that somebody counts as typing. */
const TYPING = 3000;
/** Messages that a reload shows again. */
const KEPT = 200;

const [door, room, people, log, typing, composer, bubble] = [
  "door",
  "room",
  "people",
  "log",
  "typing",
  "composer",
  "bubble",
].map((id) => document.getElementById(id));

const client = new PushClient(new URL("/ws", location.href));
/** Who is here, by client id. */
const members = new Map();
/** Own messages that the gateway has not stored yet, by the id they are published with. */
const pending = new Map();
/** What this tab has shown: the session goes on after a reload, so that is not sent again. */
const shown = new Map(JSON.parse(sessionStorage.getItem("shown") ?? "[]"));
let me = sessionStorage.getItem("name") ?? "";

function hueOf(name) {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
}

function paint(element, name) {
  element.style.setProperty("--hue", hueOf(name));
  element.querySelector(".face").textContent = name.slice(0, 1).toUpperCase();
}

/** Adds to the log, and stays at its end unless the reader has scrolled up. */
function append(element) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(element);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function show({ name, text }, own) {
  const element = bubble.content.firstElementChild.cloneNode(true);
  paint(element, name);
  element.classList.toggle("own", own);
  element.querySelector("b").textContent = name;
  element.querySelector("p").textContent = text;
  append(element);
  return element;
}

function tell(text) {
  const element = document.createElement("li");
  element.className = "news";
  element.textContent = text;
  append(element);
}

/** Anybody may publish anything, so nothing of it is believed. */
function isPost(data) {
  return typeof data?.name === "string" && typeof data.text === "string";
}

function receive({ eventId, id, source, data }) {
  if (shown.has(eventId) || !isPost(data)) return;
  const waiting = pending.get(id);
  pending.delete(id);
  // What was sent from here has its place in the order now that it is back.
  waiting?.remove();
  const own = waiting !== undefined || source === client.clientId;
  show(data, own);
  shown.set(eventId, { name: data.name, text: data.text, own });
  sessionStorage.setItem("shown", JSON.stringify([...shown].slice(-KEPT)));
}

function send(text) {
  const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const element = show({ name: me, text }, true);
  element.classList.add("pending");
  pending.set(id, element);
  client.publish(CHANNEL, { name: me, text }, { id, echo: true }).catch((error) => {
    element.classList.replace("pending", "failed");
    element.title = `Not sent: ${error.message}`;
  });
}

function nameOf({ metadata }) {
  return typeof metadata?.name === "string" ? metadata.name.slice(0, 24) : undefined;
}

function showPeople() {
  const all = [...members].sort(([, a], [, b]) => a.name.localeCompare(b.name));
  people.replaceChildren(...all.map(([id, { name, status }]) => {
    const element = document.createElement("li");
    element.dataset.status = status;
    element.innerHTML = `<span class="face"></span><span></span><small></small>`;
    paint(element, name);
    element.children[1].textContent = name;
    element.children[2].textContent = id === client.clientId ? "you" : "";
    return element;
  }));
  document.getElementById("count").textContent = members.size;
  const busy = all.filter(([id, { status }]) => status === "typing" && id !== client.clientId);
  const names = busy.map(([, { name }]) => name).join(", ");
  typing.textContent = names && `${names} ${busy.length > 1 ? "are" : "is"} typing…`;
}

/** A member is as this says. @param said what to tell those who are here if that is news */
function changed(member, said) {
  const name = nameOf(member);
  if (!name) return;
  if (said && !members.has(member.clientId)) tell(`${name} ${said}`);
  members.set(member.clientId, { name, status: member.status });
  showPeople();
}

client.on("presence_join", (member) => changed(member, "has joined"));
client.on("presence_update", (member) => changed(member, "has joined"));
client.on("presence_leave", ({ clientId }) => {
  const gone = members.get(clientId);
  if (!members.delete(clientId)) return;
  tell(`${gone.name} has left`);
  showPeople();
});
client.on("state", async ({ state, transport, reason }) => {
  const badge = document.getElementById("state");
  badge.dataset.state = state;
  badge.textContent = state === "connected" ? `Connected over ${transport}` : `${state}…`;
  badge.title = reason;
  if (state === "connected") await meet();
});

let status = "online";

/** Says who this is, and looks who else is here. */
async function meet() {
  try {
    status = document.hidden ? "away" : "online";
    await client.setStatus(status, { name: me });
    const present = await client.getPresence(CHANNEL);
    members.clear();
    for (const member of present) changed(member);
    showPeople();
  } catch {
    // The connection is gone again; the next one begins anew.
  }
}

let quiet;
function say(next) {
  if (status === next || !client.isConnected) return;
  status = next;
  client.setStatus(next, { name: me }).catch(() => {});
}

composer.addEventListener("input", () => {
  clearTimeout(quiet);
  say("typing");
  quiet = setTimeout(() => say("online"), TYPING);
});
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = composer.elements.text.value.trim();
  if (text) send(text);
  composer.reset();
  clearTimeout(quiet);
  say("online");
});
document.addEventListener("visibilitychange", () => say(document.hidden ? "away" : "online"));

async function enter(name) {
  me = name;
  sessionStorage.setItem("name", name);
  door.hidden = true;
  room.hidden = false;
  for (const post of shown.values()) show(post, post.own);
  log.scrollTop = log.scrollHeight;
  composer.elements.text.focus();
  await client.connect();
  await client.subscribe(CHANNEL, receive, { last: 50 });
  await meet();
}

door.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = door.elements.name.value.trim();
  if (name) enter(name);
});
if (me) enter(me);
