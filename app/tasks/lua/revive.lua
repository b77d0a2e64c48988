-- Puts dead letters back in line with a clean slate: one by id, or the oldest that died by a given time.
-- KEYS: meta
-- ARGV: id, until_ms, bound
-- Returns: {0, now_ms, how many (below the bound: there were no more)}, {1} no such task, {2} it is not dead
--@include queue
local now, ids = now_ms(), {}
if ARGV[1] ~= '' then
  local state = redis.call('HGET', task_key(ARGV[1]), 'state')
  if not state then return { 1 } end
  if state ~= 'dead' then return { 2 } end
  ids = { ARGV[1] }
else
  ids = redis.call('ZRANGEBYSCORE', base .. 'dead', '-inf', ARGV[2] == '' and now or ARGV[2], 'LIMIT', 0, ARGV[3])
end
for _, id in ipairs(ids) do
  local key = task_key(id)
  local task = redis.call('HMGET', key, 'type', 'priority')
  if task[1] then
    leave(id, 'dead', task[1], task[2])
    redis.call('PERSIST', key) -- earlier versions gave what was finished a TTL
    redis.call('HSET', key, 'retries', 0, 'expiries', 0, 'due', now)
    redis.call('HDEL', key, 'finished', 'reason')
    line_up(id, task[1], task[2])
  else
    redis.call('ZREM', base .. 'dead', id)
  end
end
return { 0, now, #ids }
