-- Moves a schedule to its next tick, if it still stands at the one given: of several replicas only one succeeds.
-- KEYS: meta
-- ARGV: name, tick_ms, next_ms, id, type, payload, priority, max_retries, lease_ms
-- Returns: {0 moved and enqueued, 1 somebody else has, or it was changed}
--@include put
local name, id = ARGV[1], ARGV[4]
local at = redis.call('ZSCORE', base .. 'ticks', name)
if not at or tonumber(at) ~= tonumber(ARGV[2]) then return { 1 } end
if ARGV[3] == '' then
  redis.call('ZREM', base .. 'ticks', name)
else
  redis.call('ZADD', base .. 'ticks', ARGV[3], name)
end
if redis.call('EXISTS', task_key(id)) == 1 then return { 1 } end
local now = now_ms()
put(id, ARGV[5], ARGV[6], ARGV[7], now, ARGV[8], ARGV[9], now)
return { 0 }
