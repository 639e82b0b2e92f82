// The page of the files app. What is in the lists is asked for; how far a file
// is comes by the WebSocket, and stands beside its name.

const process = "kino_files:kino_files:template.os";
const files = `/${process}/files`;
const us = window.our.node;
const told = document.getElementById("told");
const ours = document.getElementById("ours");
const found = document.getElementById("found");
const socket = new WebSocket(`${location.origin.replace("http", "ws")}/${process}/`);
const progress = new Map();

document.getElementById("node").textContent = us;

function entry({ name, size }, node) {
  const line = document.createElement("li");
  line.dataset.file = name;
  line.dataset.size = size;
  line.append(`${name} (${size} bytes) `);
  if (node !== us) {
    const fetching = document.createElement("button");
    fetching.textContent = "Save to node";
    fetching.onclick = () => {
      fetching.disabled = true;
      const Download = { name, target: `${node}@${process}` };
      socket.send(JSON.stringify({ Download }));
    };
    line.append(fetching);
  }
  const far = document.createElement("output");
  far.textContent = progress.has(name) ? `${progress.get(name)}%` : "";
  line.append(" ", far);
  return line;
}

async function show(list, node) {
  const answer = await fetch(node === us ? files : `${files}?node=${encodeURIComponent(node)}`);
  if (!answer.ok) {
    told.textContent = `${node} does not say what it has.`;
    return;
  }
  const { ListFiles } = await answer.json();
  list.replaceChildren(...ListFiles.map((file) => entry(file, node)));
}

document.getElementById("upload").onsubmit = async (event) => {
  event.preventDefault();
  const answer = await fetch(files, { method: "POST", body: new FormData(event.target) });
  told.textContent = answer.ok ? "Uploaded." : `Not uploaded (${answer.status}).`;
  await show(ours, us);
};

document.getElementById("search").onsubmit = (event) => {
  event.preventDefault();
  told.textContent = "";
  show(found, new FormData(event.target).get("node"));
};

socket.onmessage = ({ data }) => {
  const { kind, data: of } = JSON.parse(data);
  if (kind !== "progress") return;
  progress.set(of.name, of.progress);
  for (const far of document.querySelectorAll(`[data-file="${CSS.escape(of.name)}"] output`)) {
    far.textContent = `${of.progress}%`;
  }
  if (of.progress === 100) show(ours, us);
};
socket.onopen = async () => {
  await show(ours, us);
  document.getElementById("live").dataset.state = "open";
};
socket.onclose = () => { document.getElementById("live").dataset.state = "closed"; };
