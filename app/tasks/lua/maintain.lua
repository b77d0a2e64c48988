-- Does what time asks for, within bounds: promotes what is due, reaps leases that ran out, trims what is kept too long.
-- KEYS: meta
-- ARGV: bound, max_expiries, keep_ms, keep_count, keep_bytes, keep_dead_ms, keep_dead_count, log_ms
-- Returns: {0, now_ms, most done of one kind, leases that ran out, {schedule name, tick ms, ...} that are due, 1 when dead letters are to be logged}
--@include due
local now, bound = now_ms(), tonumber(ARGV[1])
local keep_dead_ms, keep_dead_count = tonumber(ARGV[6]), tonumber(ARGV[7])
-- A queue without a meta hash has nothing that could die, and may just have been forgotten.
if tonumber(ARGV[8]) > 0 and redis.call('EXISTS', meta) == 1 then
  redis.call('HSET', meta, 'log_until', now + ARGV[8])
end
local promoted = promote(now, bound)
local reaped = reap(now, bound, tonumber(ARGV[2]), keep_dead_ms, keep_dead_count)
local trimmed = trim('done', now, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), bound)
local buried = trim('dead', now, keep_dead_ms, keep_dead_count, 0, bound)
local due = redis.call('ZRANGEBYSCORE', base .. 'ticks', '-inf', now, 'WITHSCORES', 'LIMIT', 0, 100)
return { 0, now, math.max(promoted, reaped, trimmed, buried), reaped, due, redis.call('EXISTS', base .. 'deathlog') }
