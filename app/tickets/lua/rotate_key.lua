-- Publish a new signing key that signs after a delay, unless one is already on its way.
-- KEYS: keyring
-- ARGV: kid, secret, delay_ms
-- Returns: {0, kid of the key that comes next, ms until it signs}
--@include now

local now = now_ms()
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local from = cjson.decode(flat[i + 1]).signsFromMs
  if from > now then return { 0, flat[i], from - now } end
end
local from = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('{"secret":"%s","signsFromMs":%.0f}', ARGV[2], from))
return { 0, ARGV[1], tonumber(ARGV[3]) }
