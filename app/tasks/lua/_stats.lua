--@include queue
-- The four numbers of every answer about a queue: pending, processing, completed, failed.
local function stats()
  local counters = redis.call('HMGET', meta, 'ready', 'completed')
  return {
    tonumber(counters[1] or 0) + redis.call('ZCARD', base .. 'delayed'),
    redis.call('ZCARD', base .. 'leased'),
    tonumber(counters[2] or 0),
    redis.call('ZCARD', base .. 'dead'),
  }
end
