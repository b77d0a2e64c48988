-- Hand out the place that a code stands for: to the first who brings it, and to that one again.
-- KEYS: offer, tries
-- ARGV: taker, limit, window_ms
-- Returns: {0, place}, {-11, wait_ms} this address has tried too many codes, {-12} no such code, or another took it

-- An offer is 'o' and the place; taken, it is 't', the taker's 32 characters and the place. Only failures are counted.
if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[2]) then
  return { -11, math.max(1, redis.call('PTTL', KEYS[2])) }
end
local held = redis.call('GET', KEYS[1])
local kind = held and string.sub(held, 1, 1)
if kind == 'o' then
  local place = string.sub(held, 2)
  redis.call('SET', KEYS[1], 't' .. ARGV[1] .. place, 'KEEPTTL')
  return { 0, place }
end
if kind == 't' and string.sub(held, 2, 33) == ARGV[1] then return { 0, string.sub(held, 34) } end
if redis.call('INCR', KEYS[2]) == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
return { -12 }
