// Asks until the payment is settled, and then shows the page anew.
const LOOK_EVERY_MS = 700;
const { order } = document.getElementById("paying").dataset;

const asking = setInterval(async () => {
  try {
    const answer = await fetch(`/orders/${order}.json`, { redirect: "error" });
    if (answer.ok && (await answer.json()).state === "paying") return;
  } catch {
    return;
  }
  clearInterval(asking);
  location.reload();
}, LOOK_EVERY_MS);
