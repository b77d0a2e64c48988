// The dashboard's requests: the session's own token goes along with each, errors come back as sentences.

import { find } from "./dom.js";

export const data = JSON.parse(find("data").textContent);

export function signedOut() {
  const here = location.pathname.split("/admin/")[1] ?? "";
  location.assign(`${data.root}admin/sign-in?to=${encodeURIComponent(here)}`);
}

export async function call(method, path, body) {
  const options = { method, headers: { "X-CSRF-Token": data.csrf }, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`${data.root}admin/api/${path}`, options);
  } catch {
    throw new Error("The service cannot be reached; whether this was done is not known.");
  }
  if (response.status === 401) {
    signedOut();
    throw new Error("You are signed out.");
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // a proxy's own page, not ours
  }
  if (!response.ok) throw new Error(answer?.detail ?? `The service answered ${response.status}.`);
  return answer;
}
