-- Keep a visitor's place for whoever brings its code, unless many codes were made for it of late.
-- KEYS: offer, made
-- ARGV: place, ttl_ms, limit, window_ms
-- Returns: {0, ttl_ms}, {-11, wait_ms} too many codes
local made = redis.call('INCR', KEYS[2])
if made == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
if made > tonumber(ARGV[3]) then return { -11, math.max(1, redis.call('PTTL', KEYS[2])) } end
redis.call('SET', KEYS[1], 'o' .. ARGV[1], 'PX', ARGV[2])
return { 0, tonumber(ARGV[2]) }
