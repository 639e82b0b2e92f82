// The page of the live counter: shows what the WebSocket tells.
"use strict";

const byId = (id) => document.getElementById(id);
const address = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/live:live:test.dev`;
/** Longest pause before another try, milliseconds. */
const LONGEST_PAUSE = 10_000;
let pause = 250;
let socket;

function show(state, text) {
  byId("state").dataset.state = state;
  byId("state").textContent = text;
  byId("more").disabled = state !== "open";
}

function connect() {
  socket = new WebSocket(address);
  socket.onopen = () => {
    pause = 250;
    show("open", "Live");
  };
  socket.onmessage = (message) => {
    byId("count").textContent = JSON.parse(message.data).count;
  };
  socket.onclose = (event) => {
    show("closed", `Disconnected (${event.code}), trying again…`);
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };
}

byId("node").textContent = window.our?.node ?? location.host;
byId("more").addEventListener("click", () => socket.send("more"));
connect();
