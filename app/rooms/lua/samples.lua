-- Read a room's newest samples, the newest first; see sample.lua.
-- KEYS: history
-- ARGV: count
-- Returns: {server time in ms, sample, …}
--@include now
local reply = { now_ms() }
for _, sample in ipairs(redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)) do reply[#reply + 1] = sample end
return reply
