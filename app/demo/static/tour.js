// The figures beside the frame: the room's public state, and the hall's.
const LOOK_EVERY_MS = 1000;
const { line } = document.body.dataset;
const show = (id, text) => {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
};

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function showLine(room) {
  const number = new Intl.NumberFormat("en");
  show("waiting", number.format(room.waiting));
  show("came", number.format(room.last));
  show("in", number.format(Math.min(room.serving, room.last)));
  show("stands", room.paused ? "The line stands still: an operator has paused it." : "");
}

function showHall({ evening, sold, held, seats }) {
  for (const place of document.querySelectorAll(".plan span")) {
    place.dataset.state = sold.includes(place.id) ? "sold" : held.includes(place.id) ? "held" : "free";
  }
  show("sum", `Evening ${evening}: ${sold.length} of ${seats} sold (filled), ${held.length} being looked at (dashed).`);
}

async function look() {
  if (document.hidden) return;
  const [room, hall] = await Promise.allSettled([ask(`${line}/serving`), ask("/tour.json")]);
  if (room.status === "fulfilled") showLine(room.value);
  if (hall.status === "fulfilled") showHall(hall.value);
}

// The terminal names the tour with the operator's token behind `#`, which browsers keep to themselves.
function showToken() {
  const token = location.hash.slice(1) || sessionStorage.getItem("token");
  if (!token) return;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
  const place = document.getElementById("token");
  place.querySelector("code").textContent = token;
  place.querySelector("button").addEventListener("click", async (press) => {
    await navigator.clipboard.writeText(token);
    press.target.textContent = "Copied";
  });
  place.hidden = false;
}

showToken();
setInterval(look, LOOK_EVERY_MS);
look();
