-- A page of a queue's tasks: one place after the other, each in its own order.
-- KEYS: meta
-- ARGV: type, limit, place, offset, states...
-- Returns: {0, {{id, fields, when}, ...}, next place (0: that was all), next offset}
--@include queue
local only, limit = ARGV[1], tonumber(ARGV[2])
local place, offset = tonumber(ARGV[3]), tonumber(ARGV[4])
local places = {}
for i = 5, #ARGV do
  if ARGV[i] == 'ready' then
    for priority = 0, 2 do
      local types = only ~= '' and { only } or redis.call('ZRANGE', base .. 'heads:' .. priority, 0, -1)
      for _, type in ipairs(types) do places[#places + 1] = ready_key(priority, type) end
    end
  else
    places[#places + 1] = base .. ARGV[i]
  end
end
local found, looked = {}, 0
while place <= #places and #found < limit and looked < 2000 do
  local ids = redis.call('ZRANGE', places[place], offset, offset + limit - #found - 1, 'WITHSCORES')
  for i = 1, #ids, 2 do
    if only == '' or redis.call('HGET', task_key(ids[i]), 'type') == only then
      found[#found + 1] = view(ids[i], ids[i + 1])
    end
  end
  looked = looked + #ids / 2 + 1
  offset = offset + #ids / 2
  if #ids == 0 then place, offset = place + 1, 0 end
end
if place > #places then place = 0 end
return { 0, found, place, offset }
