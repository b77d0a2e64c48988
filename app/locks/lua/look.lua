-- Shows a lock and changes nothing.
-- KEYS: holders, line, state, fence
-- ARGV: none
-- Returns: {status, limit, waiters, last_fence, now_ms, {lease_end_ms, "fence since_ms lease_ms confirmed replica owner", ...}}
--@include now
local FREE, HELD = 0, 3
local now = now_ms()
local held = {}
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
for i = 1, #entries, 2 do
  held[#held + 1] = entries[i + 1]
  held[#held + 1] = redis.call('HGET', KEYS[3], 'g:' .. entries[i]) or ''
end
local limit = tonumber(redis.call('HGET', KEYS[3], 'limit')) or 1
return {
  #held > 0 and HELD or FREE, limit, redis.call('ZCARD', KEYS[2]), redis.call('GET', KEYS[4]) or '0', now, held
}
