// Keeps the plan true while it is looked at. Without scripts the plan is as it was when the page was loaded.
const LOOK_EVERY_MS = 1500;
const hall = document.querySelector(".hall");

function show(button, state) {
  if (button.dataset.state === state) return;
  button.dataset.state = state;
  button.disabled = state === "sold";
  button.querySelector(".word").textContent = hall.dataset[state];
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/seats.json", { redirect: "error" });
    if (!answer.ok) return;
    const { evening, seats } = await answer.json();
    if (String(evening) !== hall.dataset.evening) {
      location.assign("/seats");
      return;
    }
    for (const button of hall.querySelectorAll("button")) show(button, seats[button.value]);
  } catch {
    // offline, or the visit is over: pressing a seat will say so
  }
}

setInterval(look, LOOK_EVERY_MS);
document.addEventListener("visibilitychange", look);
