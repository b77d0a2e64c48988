-- Say that a replica lives, and let it lead when nobody else does.
-- KEYS: leader, term, seen
-- ARGV: replica, lease_ms, forget_ms
-- Returns: {0, term when this replica leads else 0, replicas seen lately}
--@include now

local now, replica = now_ms(), ARGV[1]
redis.call('ZADD', KEYS[3], now, replica)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[3], 60000)

local term = 0
if redis.call('SET', KEYS[1], replica, 'NX', 'PX', ARGV[2]) then
  term = redis.call('INCR', KEYS[2])
elseif redis.call('GET', KEYS[1]) == replica then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  term = tonumber(redis.call('GET', KEYS[2]))
end
return { 0, term, redis.call('ZCARD', KEYS[3]) }
