-- Look whether a place that was offered has been taken.
-- KEYS: offer
-- ARGV: none
-- Returns: {0, 'o' open or 't' taken or '' over, ttl_ms}
local held = redis.call('GET', KEYS[1])
return { 0, held and string.sub(held, 1, 1) or '', math.max(0, redis.call('PTTL', KEYS[1])) }
