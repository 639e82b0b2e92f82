// Keeps the homepage live, and lets its owner arrange it. The page works
// without: it comes with everything that is installed.
//
// What apps say of themselves only ever becomes text or an attribute.
"use strict";

const byId = (id) => document.getElementById(id);
/** Shortest and longest pause before another try, milliseconds. */
const PAUSES = [500, 30_000];
/** With this code a node that goes to sleep or stops says goodbye. */
const AWAY = 1001;

let apps = [];
let known = false;
let arranging = false;
let dragged = null;

/** An element with properties and attributes (`name` or `data-…`, `aria-…`). */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const say = (text) => {
  byId("news").textContent = text;
};

// --- elements, as the page came with ---

function picture(app) {
  const shown = element("span", { class: `picture hue-${app.hue}`, "aria-hidden": "true" });
  if (!app.icon) {
    shown.append(app.letter);
    return shown;
  }
  const image = element("img", { src: app.icon, alt: "", draggable: "false" });
  image.addEventListener("error", () => shown.replaceChildren(app.letter));
  shown.append(image);
  return shown;
}

function tile(app) {
  const inside = [picture(app), element("span", { class: "label" }, app.label)];
  const open = app.path
    ? element("a", { class: "open", href: app.path, draggable: "false" }, ...inside)
    : element("span", { class: "open" }, ...inside);
  return element("li", { class: "tile", "data-app": app.id }, open);
}

function button(kind, text, label, action) {
  const made = element("button", { type: "button", class: kind, "aria-label": label }, text);
  made.addEventListener("click", action);
  return made;
}

function arrangedTile(app) {
  const made = tile(app);
  const star = button("favorite", "★", `Favourite: ${app.label}`, () => favor(app));
  star.setAttribute("aria-pressed", String(app.favorite));
  const tools = element(
    "div",
    { class: "tools", role: "group", "aria-label": app.label },
    button("earlier", "←", `Move ${app.label} earlier`, () => move(app.id, -1)),
    star,
    button("later", "→", `Move ${app.label} later`, () => move(app.id, 1)),
  );
  made.draggable = true;
  made.append(tools);
  return made;
}

function widget(app) {
  const frame = element("iframe", {
    src: app.widget,
    title: app.label,
    sandbox: "allow-scripts",
    loading: "lazy",
    referrerpolicy: "no-referrer",
  });
  return element(
    "figure",
    { class: "widget", "data-widget": app.id },
    element("figcaption", {}, app.label),
    frame,
  );
}

// --- showing ---

/** What each element shows, as text: alike elements stay as they are. */
const signatures = new WeakMap();

/** Makes the children of `list` those of `wanted`, with as few moves as possible. */
function fill(list, wanted, key, make, sign) {
  const old = new Map([...list.children].map((child) => [child.dataset[key], child]));
  let place = list.firstElementChild;
  for (const app of wanted) {
    const signature = sign(app);
    let child = old.get(app.id);
    if (!child || (signatures.get(child) !== signature && !cameWithPage(child, app))) {
      const fresh = make(app);
      if (child) {
        if (child === place) place = fresh;
        child.replaceWith(fresh);
      }
      child = fresh;
    }
    signatures.set(child, signature);
    old.delete(app.id);
    if (child === place) {
      place = place.nextElementSibling;
    } else {
      list.insertBefore(child, place);
    }
  }
  for (const gone of old.values()) gone.remove();
}

/** A frame that came with the page need not be loaded again. */
function cameWithPage(child, app) {
  const frame = signatures.has(child) ? null : child.querySelector("iframe");
  return frame?.getAttribute("src") === app.widget && frame?.title === app.label;
}

function show() {
  const focus = document.activeElement;
  const where = focus?.closest?.("[data-app]");
  const kept = where && [where.parentElement, where.dataset.app, focus.classList[0]];

  const favorites = apps.filter((app) => app.favorite);
  const widgets = apps.filter((app) => app.widget);
  const whole = (app) => JSON.stringify([app, arranging]);
  fill(byId("dock"), favorites, "app", tile, (app) => JSON.stringify(app));
  fill(byId("apps"), apps, "app", arranging ? arrangedTile : tile, whole);
  // A frame that is made anew is loaded anew.
  const framed = (app) => JSON.stringify([app.label, app.widget]);
  fill(byId("widgets"), widgets, "widget", widget, framed);
  byId("favourites").hidden = favorites.length === 0;
  byId("all").hidden = apps.length === 0;
  byId("board").hidden = widgets.length === 0;
  byId("empty").hidden = apps.length !== 0;
  byId("arrange").hidden = apps.length === 0;
  document.body.classList.toggle("arranging", arranging);

  if (kept && document.activeElement !== focus) {
    const again = [...kept[0].children].find((child) => child.dataset.app === kept[1]);
    again?.getElementsByClassName(kept[2])[0]?.focus();
  } else if (kept && !document.contains(focus)) {
    byId("main").focus();
  }
}

/** Tells, in words, what came and went. */
function compare(old, fresh) {
  const missing = (from, other) =>
    from.filter((app) => !other.some((same) => same.id === app.id)).map((app) => app.label);
  const came = missing(fresh, old).map((label) => `${label} was added.`);
  const went = missing(old, fresh).map((label) => `${label} was removed.`);
  if (came.length + went.length > 0) say([...came, ...went].join(" "));
}

// --- speaking to the node ---

let fetching = false;
let again = false;
/** Changes under way, and how many there have been. */
let saving = 0;
let edits = 0;

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    do {
      again = false;
      const edit = edits;
      const answer = await fetch("/apps?brief=1", { cache: "no-store" });
      const kind = answer.headers.get("content-type") ?? "";
      if (answer.ok && !kind.startsWith("application/json")) {
        // Signed out: the same address now shows the login page.
        location.reload();
        return;
      }
      if (!answer.ok) continue;
      const fresh = await answer.json();
      // What is being changed here is newer than this answer.
      if (dragged || saving > 0 || edit !== edits) continue;
      if (known) compare(apps, fresh);
      apps = fresh;
      known = true;
      show();
    } while (again);
  } catch {
    // The node is away; the WebSocket's next try says so.
  } finally {
    fetching = false;
  }
}

async function post(path, body, failed) {
  saving += 1;
  edits += 1;
  let saved = false;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const kind = answer.headers.get("content-type") ?? "";
    saved = answer.ok && kind.startsWith("application/json");
  } catch {
    // Told below.
  }
  saving -= 1;
  if (!saved) say(failed);
  await refresh();
}

/** Runs `action` once the page is looked at. */
function whenSeen(action) {
  if (!document.hidden) {
    action();
    return;
  }
  document.addEventListener("visibilitychange", () => whenSeen(action), { once: true });
}

/** Runs `action` once the page is looked at and somebody does something there. */
function whenUsed(action) {
  const signs = new AbortController();
  const used = () => {
    if (document.hidden) return;
    signs.abort();
    action();
  };
  const once = { signal: signs.signal, capture: true, passive: true };
  for (const sign of ["pointerdown", "keydown", "focus"]) addEventListener(sign, used, once);
  document.addEventListener("visibilitychange", used, once);
}

async function reconnect(pause) {
  await refresh();
  connect(pause);
}

function connect(pause = PAUSES[0]) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/`);
  let next = Math.min(pause * 2, PAUSES[1]);
  socket.addEventListener("open", () => {
    next = PAUSES[0];
    state("open", "Live");
    refresh();
  });
  socket.addEventListener("message", refresh);
  socket.addEventListener("close", (event) => {
    if (event.code === AWAY) {
      // To come back at once would wake a node that was just put to sleep.
      state("asleep", "Asleep until you come back");
      whenUsed(() => {
        state("closed", "Waking up…");
        reconnect();
      });
      return;
    }
    state("closed", "Reconnecting…");
    // Pages that lost their node together do not all come back at once.
    const wait = pause * (0.5 + Math.random() / 2);
    setTimeout(() => whenSeen(() => reconnect(next)), wait);
  });
}

function state(name, text) {
  byId("live").dataset.state = name;
  if (byId("live").textContent !== text) byId("live").textContent = text;
}

// --- arranging ---

function saveOrder() {
  const order = apps.map((app, at) => [app.id, at]);
  return post("/order", order, "The order could not be saved.");
}

function move(id, by) {
  const from = apps.findIndex((app) => app.id === id);
  const to = from + by;
  if (from < 0 || to < 0 || to >= apps.length) {
    say(by < 0 ? "It is the first already." : "It is the last already.");
    return;
  }
  const [moved] = apps.splice(from, 1);
  apps.splice(to, 0, moved);
  show();
  say(`${moved.label}: place ${to + 1} of ${apps.length}.`);
  saveOrder();
}

function favor(app) {
  const favorite = !app.favorite;
  apps = apps.map((other) => (other.id === app.id ? { ...other, favorite } : other));
  show();
  say(favorite ? `${app.label} is a favourite.` : `${app.label} is no favourite any more.`);
  post("/favorite", [app.id, favorite], "The favourite could not be saved.");
}

function watchDragging(list) {
  list.addEventListener("dragstart", (event) => {
    dragged = arranging ? event.target.closest?.("[data-app]") : null;
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.app);
    dragged.classList.add("dragged");
  });
  list.addEventListener("dragover", (event) => {
    if (!dragged) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    const over = event.target.closest?.("[data-app]");
    if (!over || over === dragged || over.parentElement !== list) return;
    const box = over.getBoundingClientRect();
    const behind = event.clientX > box.left + box.width / 2;
    list.insertBefore(dragged, behind ? over.nextElementSibling : over);
  });
  list.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    const places = [...list.children].map((child) => child.dataset.app);
    apps.sort((a, b) => places.indexOf(a.id) - places.indexOf(b.id));
    saveOrder();
  });
  list.addEventListener("dragend", () => {
    dragged?.classList.remove("dragged");
    dragged = null;
    show();
    refresh();
  });
}

byId("arrange").addEventListener("click", () => {
  arranging = !arranging;
  byId("arrange").setAttribute("aria-pressed", String(arranging));
  show();
});
watchDragging(byId("apps"));
addEventListener("pageshow", (event) => {
  if (event.persisted) refresh();
});
refresh();
connect();
