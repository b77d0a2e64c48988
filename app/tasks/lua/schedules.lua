-- All recurring tasks of a queue, and the server's time.
-- KEYS: meta
-- ARGV: none
-- Returns: {0, now_ms, {name, text, ...}, {name, next_ms, ...}}
--@include queue
return {
  0,
  now_ms(),
  redis.call('HGETALL', base .. 'schedules'),
  redis.call('ZRANGE', base .. 'ticks', 0, -1, 'WITHSCORES'),
}
