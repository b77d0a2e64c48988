-- Read the ring of signing keys, after putting back what the caller still knows, making the first, dropping the outlived.
-- KEYS: keyring
-- ARGV: keep_ms, first_kid, first_key, known...
-- Returns: {0, now_ms, kid, key as JSON, …}
--@include now

local now = now_ms()
for i = 4, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
if redis.call('HLEN', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end

local ring = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  ring[#ring + 1] = { kid = flat[i], text = flat[i + 1], from = cjson.decode(flat[i + 1]).signsFromMs }
end
table.sort(ring, function(a, b) return a.from < b.from or (a.from == b.from and a.kid < b.kid) end)

-- A key has outlived its tickets once its successor has signed for longer than a ticket lives.
local reply = { 0, now }
for i, key in ipairs(ring) do
  local successor = ring[i + 1]
  if successor and successor.from > 0 and successor.from + tonumber(ARGV[1]) < now then
    redis.call('HDEL', KEYS[1], key.kid)
  else
    reply[#reply + 1] = key.kid
    reply[#reply + 1] = key.text
  end
end
return reply
