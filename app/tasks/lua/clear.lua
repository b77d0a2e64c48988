-- Drops an emptied queue's counters and helpers, so that its numbers start again at one.
-- KEYS: meta
-- ARGV: forget
-- Returns: {0 done, 1 it is not empty}
-- With `forget` 1 the queue itself is to go: its fence goes too, and a schedule keeps it all.
--@include queue
local forget = ARGV[1] == '1'
local places = { 'delayed', 'leased', 'done', 'dead', 'heads:0', 'heads:1', 'heads:2', forget and 'schedules' or nil }
for _, place in ipairs(places) do
  if redis.call('EXISTS', base .. place) == 1 then return { 1 } end
end
local fence = not forget and redis.call('HGET', meta, 'fence')
redis.call('DEL', meta, depth, base .. 'turns', base .. 'deathlog')
if fence then redis.call('HSET', meta, 'fence', fence) end
return { 0 }
