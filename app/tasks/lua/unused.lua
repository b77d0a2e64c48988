-- Takes queues off the list that were dropped, unless they have been noted meanwhile, and names those not noted for long.
-- KEYS: queues
-- ARGV: unused_ms, dropped...
-- Returns: {0, {queue, ...}}
--@include now
local queues, before = KEYS[1], now_ms() - tonumber(ARGV[1])
for i = 2, #ARGV do
  local noted = redis.call('ZSCORE', queues, ARGV[i])
  if noted and tonumber(noted) <= before then redis.call('ZREM', queues, ARGV[i]) end
end
return { 0, redis.call('ZRANGEBYSCORE', queues, '-inf', before) }
