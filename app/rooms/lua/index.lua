-- Read which rooms there are, after putting in what a replica knows and the list does not.
-- KEYS: index
-- ARGV: known_version, rooms...
-- Returns: {0, now_ms, version} when nothing is new, else {0, now_ms, version, name, "live:epoch" or "gone:epoch", …}
--@include changed_index
--@include now

-- Rooms come in pairs, name and state. A version below the known one means that the server has lost the list.
local version, added = tonumber(redis.call('HGET', KEYS[1], '#') or 0), false
for i = 2, #ARGV, 2 do added = redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 or added end
if added or version < tonumber(ARGV[1]) then version = changed_index(KEYS[1], math.max(version, tonumber(ARGV[1]))) end
local reply = { 0, now_ms(), version }
if version == tonumber(ARGV[1]) then return reply end
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] ~= '#' then
    reply[#reply + 1] = flat[i]
    reply[#reply + 1] = flat[i + 1]
  end
end
return reply
