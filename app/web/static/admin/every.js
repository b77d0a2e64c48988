// Do something now and then, while somebody looks. The returned function does it (again) and resolves when that is done.

export function every(ms, work) {
  let last = Promise.resolve();
  let waiting = 0;
  const run = () => {
    waiting += 1;
    last = last.then(work).catch(() => {}).finally(() => (waiting -= 1));
    return last;
  };
  const look = () => {
    if (waiting === 0 && document.visibilityState === "visible") run();
  };
  setInterval(look, ms);
  document.addEventListener("visibilitychange", look);
  run();
  return run;
}
