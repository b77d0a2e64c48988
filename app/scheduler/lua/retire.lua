-- Take a replica off the list, and free the lead when it is its own.
-- KEYS: leader, seen
-- ARGV: replica
-- Returns: {0}

redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return { 0 }
