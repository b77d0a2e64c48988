-- Deletes tasks: one by id that nobody works on, or the first so many in one place.
-- KEYS: meta
-- ARGV: id, state, until_ms, bound
-- Returns: {0, now_ms, how many (below the bound: there were no more)}, {1} no such task, {2} it is leased, or not in the state asked for
--@include finish
local now, ids, state, bound = now_ms(), {}, ARGV[2], tonumber(ARGV[4])

local function first_ready()
  for priority = 0, 2 do
    for _, type in ipairs(redis.call('ZRANGE', base .. 'heads:' .. priority, 0, bound - 1)) do
      for _, id in ipairs(redis.call('ZRANGE', ready_key(priority, type), 0, bound - #ids - 1)) do ids[#ids + 1] = id end
      if #ids == bound then return end
    end
  end
end

if ARGV[1] ~= '' then
  local is = redis.call('HGET', task_key(ARGV[1]), 'state')
  if not is then return { 1 } end
  if is == 'leased' or (state ~= '' and is ~= state) then return { 2 } end
  ids, state = { ARGV[1] }, is
elseif state == 'ready' then
  first_ready()
else
  local last = (state == 'dead' and ARGV[3] ~= '') and ARGV[3] or '+inf'
  ids = redis.call('ZRANGEBYSCORE', base .. state, '-inf', last, 'LIMIT', 0, bound)
end
for _, id in ipairs(ids) do forget(id, state) end
if #ids > 0 then redis.call('HINCRBY', meta, 'deleted', #ids) end
return { 0, now, #ids }
