// Makes the dashboard's pages more pleasant. Every page is whole without it.
"use strict";

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const announcer = document.getElementById("announcer");
  const announce = (text) => { if (announcer) announcer.textContent = text; };

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button[type=submit]", form).forEach((button) => button.setAttribute("aria-busy", "true"));
  });
  // Coming back by the back button, it can be sent again.
  window.addEventListener("pageshow", () => {
    all("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      all("[aria-busy]", form).forEach((button) => button.removeAttribute("aria-busy"));
    });
  });

  // Passwords can be looked at while they are typed.
  all("[data-reveal]").forEach((button) => {
    const input = document.getElementById(button.dataset.reveal);
    if (!input) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
      button.firstChild.data = shown ? "Hide" : "Show";
      input.focus();
    });
    // What is sent and remembered by browsers is a password.
    input.form?.addEventListener("submit", () => { input.type = "password"; });
  });

  // Lines that are typed elsewhere can be copied.
  const copy = async (node) => {
    const text = node.textContent.trim();
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return;
    }
    // Without TLS there is no clipboard to write to, only the old command.
    const selection = window.getSelection();
    selection.selectAllChildren(node);
    const copied = document.execCommand("copy");
    if (!copied) throw new Error("not copied");
    selection.removeAllRanges();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const node = document.getElementById(button.dataset.copy);
    const word = button.firstChild;
    try {
      await copy(node);
      word.data = "Copied";
      announce("Copied.");
    } catch {
      window.getSelection().selectAllChildren(node);
      announce("It could not be copied. The line is selected: copy it by hand.");
    }
    setTimeout(() => { word.data = "Copy"; }, 2000);
  });
  all("[data-copy]").forEach((button) => { button.hidden = false; });

  // Whether a name is free is told while it is typed.
  const RULE = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
  const SAYS = {
    taken: (name) => `${name} is taken. Try another name.`,
    reserved: (name) => `${name} is reserved. Try another name.`,
    invalid: () => "Use small letters, digits and single dashes; begin with a letter.",
  };
  all("[data-availability]").forEach((input) => {
    const output = document.getElementById(input.dataset.availability);
    const preview = document.getElementById(input.dataset.preview || "");
    const say = (state, text) => { output.dataset.state = state; output.textContent = text; };
    let timer, asking;
    const look = async (name) => {
      asking = new AbortController();
      try {
        const answer = await fetch(`/api/v1/names/${encodeURIComponent(name)}`, { signal: asking.signal });
        if (!answer.ok) { say("", ""); return; }
        const { available, reason } = await answer.json();
        if (available) say("free", `${name} is free.`);
        else say("no", (SAYS[reason] || SAYS.taken)(name));
      } catch { /* typed on, or away: the form asks again */ }
    };
    const typed = () => {
      const name = input.value.trim().toLowerCase();
      clearTimeout(timer);
      asking?.abort();
      const fine = RULE.test(name) && !name.includes("--");
      if (preview) {
        const [address, known] = all("code", preview);
        address.textContent = preview.dataset.start + name + preview.dataset.end;
        known.textContent = `${name}.${preview.dataset.suffix}`;
        preview.hidden = !fine;
      }
      if (!name) { say("", ""); return; }
      if (!fine && !name.endsWith("-")) { say("no", SAYS.invalid()); return; }
      say("", "");
      timer = setTimeout(look, 250, name);
    };
    input.addEventListener("input", () => {
      const field = input.closest(".field");
      field?.classList.remove("bad");
      typed();
    });
    if (input.value && !input.hasAttribute("aria-invalid")) typed();
  });

  // What cannot be undone waits until the name is typed.
  all("form[data-must-equal]").forEach((form) => {
    const input = form.querySelector("input[type=text]");
    const button = form.querySelector("button[type=submit]");
    const check = () => {
      button.disabled = input.value.trim().toLowerCase() !== form.dataset.mustEqual;
    };
    input.addEventListener("input", check);
    check();
  });

  // A line in the address that says "done" is said once.
  if (/[?&]done=/.test(location.search)) {
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
  const openTarget = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();

  // A log grows while one looks at it.
  const MOST_LINES = 1000;
  const follow = (box) => {
    const list = box.querySelector("ol");
    let last = Number(box.dataset.last), stream, waiting;
    const add = (...parts) => {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
      box.querySelector("[data-empty]").hidden = true;
      const line = document.createElement("li");
      line.append(...parts);
      list.append(line);
      while (list.children.length > MOST_LINES) list.firstChild.remove();
      if (atEnd) box.scrollTop = box.scrollHeight;
    };
    const part = (name, text) => {
      const part = document.createElement(name);
      part.textContent = text;
      return part;
    };
    const start = () => {
      clearTimeout(waiting);
      stream = new EventSource(`${box.dataset.log}&follow=true`);
      stream.addEventListener("line", ({ data, lastEventId }) => {
        if (Number(lastEventId) <= last) return;
        last = Number(lastEventId);
        const line = JSON.parse(data);
        const time = part("time", line.time.slice(5, 19).replace("T", " "));
        time.dateTime = time.title = line.time;
        const source = part("span", line.source);
        source.className = "source";
        add(time, " ", source, " ", part("bdi", line.text.replace(/\u001b\[[0-9;:]*m/g, "")));
      });
      stream.addEventListener("skipped", ({ data }) => add(`(${JSON.parse(data).lines} lines are not kept any more)`));
      stream.addEventListener("error", ({ target }) => {
        // A browser asks again by itself unless it was refused.
        if (target !== stream || target.readyState !== EventSource.CLOSED) return;
        stop();
        waiting = setTimeout(start, 30000);
      });
    };
    const stop = () => { clearTimeout(waiting); stream?.close(); stream = undefined; };
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) stop();
      else if (!stream) start();
    });
    window.addEventListener("pagehide", stop);
    window.addEventListener("pageshow", (event) => { if (event.persisted && !stream) start(); });
    box.scrollTop = box.scrollHeight;
    if (!document.hidden) start();
  };
  if (window.EventSource) all("[data-log]").forEach(follow);

  // Nodes change while one looks at them.
  const watched = document.querySelector("[data-watch]");
  if (!watched || !window.EventSource) return;
  let reading = false, again = false;

  // Reads the page again and puts its live parts in the place of the old ones.
  const refresh = async () => {
    if (reading) { again = true; return; }
    reading = true;
    try {
      const answer = await fetch(watched.dataset.page, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 404) { location.assign(watched.dataset.page); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      replace(page);
    } catch { /* away: the stream tells when it is back */ } finally {
      reading = false;
      if (again) { again = false; refresh(); }
    }
  };
  const replace = (page) => {
    const fresh = page.querySelector("[data-watch]");
    if (!fresh) return;
    const before = statuses(document);
    const focused = document.activeElement?.id;
    for (const part of all("[data-live]")) {
      const newer = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (newer && newer.innerHTML !== part.innerHTML) {
        part.replaceChildren(...[...newer.childNodes].map((node) => document.importNode(node, true)));
      }
    }
    watched.dataset.seen = fresh.dataset.seen;
    if (focused && document.activeElement === document.body) {
      (document.getElementById(focused) || document.getElementById("main")).focus();
    }
    const news = [];
    for (const [name, state] of statuses(document)) {
      if (before.get(name) !== state) news.push(`${name}: ${state}.`);
    }
    if (news.length) announce(news.join(" "));
  };
  const statuses = (root) => {
    const found = new Map();
    for (const status of all("[data-status]", root)) {
      const holder = status.closest("[data-node]");
      found.set(holder ? holder.dataset.node : watched.dataset.watch, status.textContent.trim());
    }
    return found;
  };

  // Shortest and longest pause before asking again, milliseconds.
  const PAUSES = [1000, 60000];
  // After so many failures the page says that it may be out of date.
  const MANY = 3;
  const stale = document.createElement("div");
  stale.className = "note stale";
  stale.hidden = true;
  const told = stale.appendChild(document.createElement("p"));
  told.textContent = "This page does not follow your nodes just now, so it may be out of date. It goes on trying.";
  watched.prepend(stale);

  let stream, waiting, failures = 0;
  const works = () => {
    failures = 0;
    if (stale.hidden) return;
    stale.hidden = true;
    announce("This page follows your nodes again.");
  };
  const failed = () => {
    failures += 1;
    if (failures < MANY || !stale.hidden) return;
    stale.hidden = false;
    announce(told.textContent);
  };
  const watch = () => {
    clearTimeout(waiting);
    stream = new EventSource("/api/v1/events");
    stream.addEventListener("nodes", (event) => {
      works();
      const { items } = JSON.parse(event.data);
      const ours = items.filter(({ label }) => watched.dataset.watch === "*" || label === watched.dataset.watch);
      const seen = ours.map(({ label, status }) => `${label}:${status}`).join(" ");
      if (seen !== watched.dataset.seen) refresh();
    });
    stream.addEventListener("error", ({ target }) => {
      if (target !== stream) return;
      failed();
      // A browser asks again by itself unless it was refused: the session has
      // ended, too many windows watch, or the host is busy.
      if (target.readyState !== EventSource.CLOSED) return;
      unwatch();
      refresh();
      const pause = Math.min(PAUSES[0] * 2 ** failures, PAUSES[1]);
      waiting = setTimeout(watch, pause * (0.5 + Math.random() / 2));
    });
  };
  const unwatch = () => { clearTimeout(waiting); stream?.close(); stream = undefined; };
  // A browser has few connections to one host: hidden windows give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) unwatch();
    else if (!stream) watch();
  });
  window.addEventListener("pagehide", unwatch);
  window.addEventListener("pageshow", (event) => { if (event.persisted && !stream) watch(); });
  if (!document.hidden) watch();
})();
