-- Keep whoever holds these places from taking new ones in the room for a time.
-- KEYS: barred
-- ARGV: bar_ms, places...
-- Returns: {0}
--@include now

-- A place is "epoch-position".
local now, bar_ms = now_ms(), tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], string.format('%.0f', now + bar_ms), ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return { 0 }
