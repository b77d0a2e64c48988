-- Forgets an emptied queue's counters and helpers, so that its numbers start again at one; its fence stays.
-- KEYS: meta
-- ARGV: none
-- Returns: {0 done, 1 it is not empty}
--@include queue
for _, place in ipairs({ 'delayed', 'leased', 'done', 'dead', 'heads:0', 'heads:1', 'heads:2' }) do
  if redis.call('EXISTS', base .. place) == 1 then return { 1 } end
end
local fence = redis.call('HGET', meta, 'fence')
redis.call('DEL', meta, depth, base .. 'turns', base .. 'deathlog')
if fence then redis.call('HSET', meta, 'fence', fence) end
return { 0 }
