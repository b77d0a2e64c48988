-- Moves a schedule to its next tick, if it still stands at the one given: of several replicas only one succeeds.
-- KEYS: meta
-- ARGV: name, tick_ms, next_ms, id, type, payload, priority, max_retries, lease_ms
-- Returns: {0 moved and enqueued, 1 somebody else has, or it was changed; task id or ''}
--@include queue
local name, id = ARGV[1], ARGV[4]
local at = redis.call('ZSCORE', base .. 'ticks', name)
if not at or tonumber(at) ~= tonumber(ARGV[2]) then return { 1, '' } end
if ARGV[3] == '' then
  redis.call('ZREM', base .. 'ticks', name)
else
  redis.call('ZADD', base .. 'ticks', ARGV[3], name)
end
if redis.call('EXISTS', task_key(id)) == 1 then return { 1, id } end
local type, priority = ARGV[5], ARGV[7]
local now, seq = now_ms(), next_seq()
redis.call('HSET', task_key(id), 'type', type, 'payload', ARGV[6], 'priority', priority,
  'number', redis.call('HINCRBY', meta, 'enqueued', 1), 'seq', seq, 'created', now, 'due', now, 'retries', 0,
  'max_retries', ARGV[8], 'expiries', 0, 'attempts', 0, 'lease_ms', ARGV[9])
enter(id, 'ready', type, priority, seq)
return { 0, id }
