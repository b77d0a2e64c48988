// Checks Stanchion's passes in nginx. njs knows no Ed25519, so passes have to be signed with ES256.

const ROOM = 'default';
const DEPLOYMENT = 'stanchion';
const JWKS = 'http://127.0.0.1:8081/jwks.json';
const LEEWAY_S = 5;

// What stands before the two coordinates in the DER form of a public key on the curve P-256.
const SPKI = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';

function json(part) {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
}

function token(r) {
    const sent = r.headersIn['X-Waiting-Room-Pass'];
    if (sent) {
        return sent;
    }
    const name = (r.variables.scheme == 'https' ? '__Host-' : '') + 'stanchion-pass-' + ROOM;
    const found = (r.headersIn.Cookie || '').split(/; */).find((item) => item.startsWith(name + '='));
    return found ? found.slice(name.length + 1) : '';
}

async function claims(text) {
    const parts = text.split('.');
    if (parts.length != 3) {
        return null;
    }
    const header = json(parts[0]);
    if (header.alg !== 'ES256' || header.crit) {
        return null;
    }
    const published = await (await ngx.fetch(JWKS)).json();
    const key = published.keys.find((one) => one.kid === header.kid && one.crv === 'P-256');
    if (!key) {
        return null;
    }
    const der = Buffer.concat([
        Buffer.from(SPKI, 'hex'),
        Buffer.from(key.x, 'base64url'),
        Buffer.from(key.y, 'base64url'),
    ]);
    const curve = { name: 'ECDSA', namedCurve: 'P-256' };
    const imported = await crypto.subtle.importKey('spki', der, curve, false, ['verify']);
    const signed = Buffer.from(parts[0] + '.' + parts[1]);
    const signature = Buffer.from(parts[2], 'base64url');
    const holds = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, imported, signature, signed);
    return holds ? json(parts[1]) : null;
}

// The session of the pass that came along, or null.
async function session(r) {
    let found = null;
    try {
        found = await claims(token(r));
    } catch (error) {
        r.log('a pass could not be checked: ' + error.message);
    }
    const holds =
        found &&
        found.use === 'pass' &&
        found.aud === ROOM &&
        found.iss === DEPLOYMENT &&
        typeof found.exp === 'number' &&
        found.exp + LEEWAY_S > Date.now() / 1000;
    return holds ? String(found.sub) : null;
}

// For auth_request: 204 with the session when the pass holds, else that status.
async function answer(r, otherwise) {
    const inside = await session(r);
    if (inside !== null) {
        r.headersOut['X-Waiting-Room'] = 'pass';
        r.headersOut['X-Waiting-Room-Session'] = inside;
    }
    r.return(inside !== null ? 204 : otherwise);
}

// In the place of the gate: who has no pass is sent to the line.
async function check(r) {
    await answer(r, 401);
}

// For a gate that does not answer: who has no pass is asked for patience.
async function stand_in(r) {
    await answer(r, 503);
}

// The wanted address, to be put into a query.
function wanted(r) {
    return encodeURIComponent(r.variables.request_uri);
}

export default { check, stand_in, wanted };
