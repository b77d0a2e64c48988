// Counts down the time for which the seat is kept; the site decides, this only shows it.
const left = document.getElementById("left");
const end = performance.now() + Number(left.dataset.left) * 1000;

const ticking = setInterval(() => {
  const seconds = Math.max(0, Math.round((end - performance.now()) / 1000));
  left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  if (seconds > 0) return;
  clearInterval(ticking);
  setTimeout(() => location.reload(), 1000);
}, 500);
