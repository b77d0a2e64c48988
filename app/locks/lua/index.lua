-- Notes which locks are held for the operator's list, forgets those whose lease has ended, and lists some.
-- KEYS: held
-- ARGV: keep_ms, count, entries...
-- Returns: {status, total, id, ...}; entries are pairs of milliseconds left and id
--@include now
local FIRST_ENTRY = 3
local NOTED = 0
local now = now_ms()
for i = FIRST_ENTRY, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[i]), ARGV[i + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local reply = {NOTED, redis.call('ZCARD', KEYS[1])}
local count = tonumber(ARGV[2])
if count > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, count - 1)) do
    reply[#reply + 1] = id
  end
end
return reply
