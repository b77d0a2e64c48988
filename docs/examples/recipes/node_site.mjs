// A site in Node that lets nobody in without a pass, with `jose` (4.11 or newer). Nothing is asked per request.
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";

const ROOM = "default";
const HTTPS = process.env.HTTPS === "yes"; // whether visitors come over TLS
const WAITING_ROOM = process.env.WAITING_ROOM; // where visitors find it: https://shop.example/_queue
const COOKIE = `${HTTPS ? "__Host-" : ""}stanchion-pass-${ROOM}=`;

// A key that is not known is asked for, every ten seconds at most; those that are known stay, whatever happens to the
// waiting room.
const keys = createRemoteJWKSet(new URL(`${WAITING_ROOM}/.well-known/jwks.json`), {
  cacheMaxAge: Infinity,
  cooldownDuration: 10_000,
  timeoutDuration: 3_000,
});

// The session of the pass that came along, or null.
async function sessionOf(request) {
  const cookie = (request.headers.cookie ?? "").split(/; */).find((item) => item.startsWith(COOKIE));
  const token = request.headers["x-waiting-room-pass"] ?? cookie?.slice(COOKIE.length);
  if (!token) return null;
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ["EdDSA", "ES256"],
      audience: ROOM,
      issuer: "stanchion",
      clockTolerance: 5,
    });
    return payload.use === "pass" && payload.exp ? payload.sub : null;
  } catch {
    return null;
  }
}

const site = createServer(async (request, response) => {
  const session = await sessionOf(request);
  if (session !== null) {
    response.setHeader("Content-Type", "text/plain").end(`welcome, ${session}`);
    return;
  }
  const wanted = `${HTTPS ? "https" : "http"}://${request.headers.host}${request.url}`;
  const page = `${WAITING_ROOM}/rooms/${ROOM}?target=${encodeURIComponent(wanted)}`;
  if ((request.headers.accept ?? "").includes("text/html")) {
    response.writeHead(302, { Location: page, "Cache-Control": "no-store" }).end();
  } else {
    response.writeHead(429, { "Content-Type": "application/json", "Retry-After": "10" });
    response.end(JSON.stringify({ status: 429, title: "Wait for your turn", pageUrl: page }));
  }
});
site.listen(Number(process.env.PORT), "127.0.0.1");
