-- Puts a queue on the list of those there are, or notes that it is in use.
-- KEYS: queues
-- ARGV: queue, most
-- Returns: {0 it is on the list, 1 there are too many}
--@include now
local queues, queue = KEYS[1], ARGV[1]
if not redis.call('ZSCORE', queues, queue) and redis.call('ZCARD', queues) >= tonumber(ARGV[2]) then return { 1 } end
redis.call('ZADD', queues, now_ms(), queue)
return { 0 }
