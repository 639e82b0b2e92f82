// A hostile tenant's page. The query names whom it goes for:
//   ?victim=http://victim.nodes.test:8000   origin of another node (repeatable)
//   &dashboard=http://berth.test:8000       origin of the dashboard
//   &base=nodes.test                        domain to set cookies for (repeatable)
//   &cookie=NAME                            cookie to overwrite (repeatable)
//   &ws=/live:live:test.dev                 WebSocket path of the victim (repeatable)
//   &frame=/live:live:test.dev              page of the victim to frame (repeatable)
// What came of it is JSON in #results, and then <body data-done="true">.
// "read" or "open" anywhere in it means that a wall has a hole. What its frames
// show cannot be told from here: whoever steers the browser looks into them.
"use strict";

const query = new URLSearchParams(location.search);
const victims = query.getAll("victim");
const dashboard = query.get("dashboard");
const targets = dashboard ? [...victims, dashboard] : victims;
/** Milliseconds to wait for anything. */
const PATIENCE = 4000;

/** What `attempt` makes of itself, in time. */
async function within(attempt) {
  const late = new Promise((done) => setTimeout(() => done("nothing"), PATIENCE));
  try {
    return await Promise.race([attempt(), late]);
  } catch (error) {
    return `blocked: ${error.name}`;
  }
}

function cookies() {
  const outcome = {};
  for (const base of query.getAll("base")) {
    for (const name of query.getAll("cookie")) {
      const planted = `${name}=attacker-${base}`;
      for (const domain of [base, `.${base}`]) {
        document.cookie = `${planted}; Domain=${domain}; Path=/`;
      }
      const kept = document.cookie.split("; ").includes(planted);
      outcome[`${name} for ${base}`] = kept ? "set" : "refused";
    }
  }
  outcome.readable = document.cookie;
  return outcome;
}

const reading = (url) => async () => {
  const answer = await fetch(url, { credentials: "include" });
  return `read ${answer.status}: ${(await answer.text()).slice(0, 200)}`;
};

/** Sends without being able to read: whether it had an effect shows at the victim. */
const writing = (url, body) => async () => {
  await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body });
  return "sent blindly";
};

const socket = (url) => () =>
  new Promise((done) => {
    const tried = new WebSocket(url);
    tried.onopen = () => tried.send("more");
    tried.onmessage = (message) => done(`open: ${message.data}`);
    tried.onerror = () => done("refused");
    tried.onclose = (event) => done(`refused (${event.code})`);
  });

/** A page or an error, a frame is loaded in the end. */
const framing = (url) => () =>
  new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    frame.onload = () => done("framed something");
    document.body.append(frame);
  });

async function run() {
  const results = { cookies: cookies(), tries: {} };
  const tries = [];
  const attempt = (name, what) =>
    tries.push(within(what).then((outcome) => (results.tries[name] = outcome)));
  for (const target of targets) {
    for (const path of ["/", "/apps", "/api/v1/account", "/api/v1/nodes", "/our"]) {
      attempt(`GET ${target}${path}`, reading(target + path));
    }
    attempt(`POST ${target}/favorite`, writing(`${target}/favorite`, '["live:live:test.dev",true]'));
    attempt(`POST ${target}/order`, writing(`${target}/order`, '["live:live:test.dev"]'));
    attempt(`POST ${target}/logout`, writing(`${target}/logout`, ""));
    attempt(`POST ${target}/api/v1/nodes`, writing(`${target}/api/v1/nodes`, '{"label":"stolen","password":"attacker 123"}'));
    attempt(`frame ${target}`, framing(`${target}/`));
    const door = target === dashboard ? "/sign-in" : "/login";
    attempt(`frame ${target}${door}`, framing(target + door));
    for (const path of query.getAll("frame")) {
      attempt(`frame ${target}${path}`, framing(target + path));
    }
    for (const path of query.getAll("ws")) {
      attempt(`WebSocket ${target}${path}`, socket(target.replace(/^http/, "ws") + path));
    }
  }
  await Promise.all(tries);
  document.getElementById("results").textContent = JSON.stringify(results, null, 2);
  document.body.dataset.done = "true";
}

run();
