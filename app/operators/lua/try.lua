-- Count one try to sign in, of an address and of its window.
-- KEYS: tries
-- ARGV: window_ms
-- Returns: {tries in this window, milliseconds until it ends}
local tries = redis.call('INCR', KEYS[1])
if tries == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { tries, redis.call('PTTL', KEYS[1]) }
