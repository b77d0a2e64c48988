-- Sets, changes or (with an empty text) deletes a recurring task.
-- KEYS: meta
-- ARGV: name, text, next_ms
-- Returns: {0 done, 1 there was none to delete}
--@include queue
local name = ARGV[1]
if ARGV[2] == '' then
  redis.call('ZREM', base .. 'ticks', name)
  return { 1 - redis.call('HDEL', base .. 'schedules', name) }
end
redis.call('HSET', base .. 'schedules', name, ARGV[2])
redis.call('ZADD', base .. 'ticks', ARGV[3], name)
return { 0 }
