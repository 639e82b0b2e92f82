// The page's source while it is written. It finds the app's API below the base
// path of the development server, and its WebSocket there or at the node.

const base = import.meta.env.BASE_URL.replace(/\/$/, "");
const put = (id, text) => { document.getElementById(id).textContent = text; };
const us = window.our.node;

put("our", `${us} is ${await (await fetch("/our")).text()}`);

function listen(id, url) {
  const socket = new WebSocket(url);
  put(id, `${id}: opening`);
  socket.onopen = () => put(id, `${id}: open`);
  socket.onclose = () => put(id, `${id}: closed`);
  socket.onmessage = ({ data }) => put(id, `${id}: ${JSON.parse(data).NewMessage.content}`);
}
listen("direct", `${import.meta.env.VITE_NODE_URL.replace("http", "ws")}${base}/`);
listen("proxied", `${location.origin.replace("http", "ws")}${base}/`);

async function show() {
  const answer = await fetch(`${base}/messages`);
  const isJson = answer.headers.get("content-type").includes("json");
  const lines = isJson ? ((await answer.json())[us] ?? []) : [{ content: "not signed in" }];
  const items = lines.map(({ content }) => {
    const item = document.createElement("li");
    item.textContent = content;
    return item;
  });
  document.getElementById("said").replaceChildren(...items);
}

document.getElementById("say").onclick = async () => {
  const Send = { target: us, message: "hello from Vite" };
  await fetch(`${base}/messages`, { method: "POST", body: JSON.stringify({ Send }) });
  await show();
};
await show();
