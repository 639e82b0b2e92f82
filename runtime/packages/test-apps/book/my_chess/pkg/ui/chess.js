// The page of the chess app. A game is drawn anew whenever it changed: by an
// answer of ours, or by what the WebSocket tells.

const base = "/my_chess:my_chess:template.os";
const games = `${base}/games`;
const us = window.our.node;
const signs = {
  K: "\u2654", Q: "\u2655", R: "\u2656", B: "\u2657", N: "\u2658", P: "\u2659",
  k: "\u265a", q: "\u265b", r: "\u265c", b: "\u265d", n: "\u265e", p: "\u265f",
};
const why = {
  400: "That is not a legal move.",
  403: "It is not your turn.",
  409: "There is a game already, or it is over.",
  503: "They do not answer.",
};
const told = document.getElementById("told");
const drawn = new Map();
let picked = null;

async function act(method, path, body) {
  told.textContent = "";
  const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
  if (answer.ok) draw(await answer.json());
  else told.textContent = why[answer.status] ?? `It went wrong (${answer.status}).`;
}

// The pieces by their squares.
function pieces(board) {
  const found = {};
  board.split(" ")[0].split("/").forEach((row, at) => {
    let file = 0;
    for (const sign of row) {
      if (sign >= "1" && sign <= "8") file += Number(sign);
      else found["abcdefgh"[file++] + (8 - at)] = sign;
    }
  });
  return found;
}

function whose(game) {
  if (game.ended) return "The game is over.";
  const turn = game.turns % 2 === 0 ? game.white : game.black;
  return turn === us ? "Your move." : `${turn} is to move.`;
}

function press(game, square) {
  if (picked === null) {
    picked = square;
    draw(game);
    return;
  }
  const from = picked;
  picked = null;
  draw(game);
  if (from === square) return;
  const moved = pieces(game.board)[from];
  const promoted = (moved === "P" && square[1] === "8") || (moved === "p" && square[1] === "1");
  act("PUT", games, { id: game.id, move: from + square + (promoted ? "q" : "") });
}

function draw(game) {
  // An answer and the WebSocket may tell the same.
  const look = JSON.stringify([game, picked]);
  if (drawn.get(game.id) === look) return;
  drawn.set(game.id, look);
  const found = pieces(game.board);
  const place = document.createElement("section");
  place.className = "game";
  place.dataset.game = game.id;
  place.dataset.turns = game.turns;
  place.dataset.ended = game.ended;
  const title = document.createElement("h2");
  title.textContent = `${game.white} against ${game.black}`;
  const state = document.createElement("p");
  state.className = "state";
  state.textContent = whose(game);
  const board = document.createElement("div");
  board.className = "board";
  const ranks = [8, 7, 6, 5, 4, 3, 2, 1];
  const files = [..."abcdefgh"];
  if (game.black === us) {
    ranks.reverse();
    files.reverse();
  }
  for (const rank of ranks) {
    for (const file of files) {
      const square = file + rank;
      const button = document.createElement("button");
      button.dataset.square = square;
      button.dataset.piece = found[square] ?? "";
      button.ariaLabel = square;
      button.textContent = signs[found[square]] ?? "";
      button.classList.toggle("dark", ("abcdefgh".indexOf(file) + rank) % 2 === 1);
      button.classList.toggle("picked", square === picked);
      button.onclick = () => press(game, square);
      board.append(button);
    }
  }
  const resign = document.createElement("button");
  resign.className = "resign";
  resign.textContent = "Resign";
  resign.disabled = game.ended;
  resign.onclick = () => act("DELETE", `${games}?id=${encodeURIComponent(game.id)}`);
  place.append(title, state, board, resign);
  const before = document.querySelector(`[data-game="${CSS.escape(game.id)}"]`);
  if (before) before.replaceWith(place);
  else document.getElementById("games").append(place);
}

document.getElementById("new").onsubmit = (event) => {
  event.preventDefault();
  const { id, side } = Object.fromEntries(new FormData(event.target));
  const [white, black] = side === "white" ? [us, id] : [id, us];
  act("POST", games, { id, white, black });
};

const live = document.getElementById("live");
const socket = new WebSocket(`${location.origin.replace("http", "ws")}${base}/`);
socket.binaryType = "arraybuffer";
// Asked for once the socket is open, so that nothing in between is missed.
socket.onopen = async () => {
  const all = await (await fetch(games)).json();
  for (const game of Object.values(all)) draw(game);
  live.dataset.state = "open";
};
socket.onclose = () => { live.dataset.state = "closed"; };
socket.onmessage = ({ data }) => {
  const { kind, data: game } = JSON.parse(new TextDecoder().decode(data));
  if (kind === "game_update") draw(game);
};
