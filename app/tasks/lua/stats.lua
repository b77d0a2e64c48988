-- Everything that is counted about a queue.
-- KEYS: meta
-- ARGV: none
-- Returns: {0, now_ms, {pending, processing, completed, failed}, ready, delayed, done, {counter, n, ...}, {"state:type", n, ...}, ms when the oldest ready one came}
--@include stats
local by_type = redis.call('HGETALL', depth)
local oldest = false
for priority = 0, 2 do
  for _, type in ipairs(redis.call('ZRANGE', base .. 'heads:' .. priority, 0, -1)) do
    by_type[#by_type + 1] = 'ready:' .. type
    by_type[#by_type + 1] = redis.call('ZCARD', ready_key(priority, type))
    local first = redis.call('ZRANGE', ready_key(priority, type), 0, 0)[1]
    local due = tonumber(redis.call('HGET', task_key(first), 'due'))
    if due and (not oldest or due < oldest) then oldest = due end
  end
end
return {
  0,
  now_ms(),
  stats(),
  tonumber(redis.call('HGET', meta, 'ready') or 0),
  redis.call('ZCARD', base .. 'delayed'),
  redis.call('ZCARD', base .. 'done'),
  redis.call('HGETALL', meta),
  by_type,
  oldest,
}
