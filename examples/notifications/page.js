import { PushClient } from "@push/client";

const CHANNEL = "notifications";
const SIGNS = { info: "i", good: "✓", warning: "!", error: "×" };
/** Notifications that the page remembers. */
const KEPT = 50;

const [unread, badge, missed, list, empty, clear, form, card] = [
  "unread",
  "state",
  "missed",
  "list",
  "empty",
  "clear",
  "send",
  "card",
].map((id) => document.getElementById(id));

// With a name of its own this browser is the same client tomorrow: what comes while the page is
// closed waits at the gateway.
const clientId = localStorage.getItem("client") ?? `page-${crypto.randomUUID()}`;
localStorage.setItem("client", clientId);
const client = new PushClient(new URL("/ws", location.href), { clientId });

/** What came, the newest first; `read` and `missed` are this page's own. */
let notes = JSON.parse(localStorage.getItem("notes") ?? "[]");
/** When the network was last back, in Unix milliseconds: what was published before was missed. */
let backAt = 0;

/** Anybody may publish anything, so nothing of it is believed. */
function noteOf({ eventId, timestamp, data }) {
  if (typeof data?.title !== "string") return undefined;
  const level = Object.hasOwn(SIGNS, data.level) ? data.level : "info";
  const text = typeof data.text === "string" ? data.text : "";
  // Two clocks are compared: where they differ, some more or fewer count as missed.
  const missed = timestamp * 1000 < backAt;
  return { eventId, level, title: data.title, text, read: false, missed };
}

function back() {
  if (client.isConnected) backAt = Date.now();
}

function receive(message) {
  const note = noteOf(message);
  // After a crash of the browser a message may come twice.
  if (!note || notes.some(({ eventId }) => eventId === note.eventId)) return;
  notes = [note, ...notes].slice(0, KEPT);
  show(note.eventId);
}

function show(arrived) {
  localStorage.setItem("notes", JSON.stringify(notes));
  list.replaceChildren(...notes.map(({ eventId, level, title, text, read, missed }) => {
    const element = card.content.firstElementChild.cloneNode(true);
    element.dataset.level = level;
    element.classList.toggle("read", read);
    element.classList.toggle("new", eventId === arrived);
    element.querySelector("i").textContent = SIGNS[level];
    element.querySelector("b").textContent = title;
    element.querySelector("p").textContent = text;
    element.querySelector(".tag").hidden = !missed || read;
    return element;
  }));
  const open = notes.filter(({ read }) => !read);
  const late = open.filter(({ missed }) => missed).length;
  empty.hidden = notes.length > 0;
  clear.hidden = unread.hidden = open.length === 0;
  unread.textContent = open.length;
  missed.hidden = late === 0;
  missed.textContent = `${late} came while you were away`;
  document.title = open.length > 0 ? `(${open.length}) Notifications` : "Notifications";
}

clear.addEventListener("click", () => {
  notes = notes.map((note) => ({ ...note, read: true }));
  show();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { title, text, level } = Object.fromEntries(new FormData(form));
  const button = form.querySelector("button");
  try {
    // As a program on a server would do it; the client itself could publish, too.
    const response = await fetch("/api/push/publish", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ channel: CHANNEL, data: { title, text, level } }),
    });
    button.textContent = response.ok ? "Send" : "Refused: send again";
  } catch {
    button.textContent = "No network: send again";
  }
});

client.on("state", ({ state, transport, code, reason }) => {
  badge.dataset.state = state;
  badge.title = reason;
  badge.textContent = state === "connected" ? `Connected over ${transport}` : `${state}…`;
  if (code === "replaced") badge.textContent = "Open in another tab: reload to have them here";
  back();
});
addEventListener("online", back);

document.getElementById("curl").textContent = `curl -X POST ${location.origin}/api/push/publish -d '
  {"channel": "${CHANNEL}", "data":
    {"title": "Disk", "text": "90 % full", "level": "warning"}}'`;
show();
await client.connect();
await client.subscribe(CHANNEL, receive);
