-- Hands out up to `count` ready tasks under a lease, by priority, with turns that start lower so that low is never starved.
-- KEYS: meta
-- ARGV: count, lease_ms, worker, arm, rotation, max_expiries, keep_dead_ms, keep_dead_count, types...
-- Returns: {0, now_ms, {{id, fields, lease_until_ms}, ...}, leases that ran out}
--@include due
local wanted, lease_ms, rotation = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5]
local now = now_ms()
promote(now, 10)
local expired = reap(now, 10, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]))

local types = {}
for i = 9, #ARGV do types[#types + 1] = ARGV[i] end

-- The type whose first ready task of this priority has waited longest, among those asked for.
local function first_type(priority)
  local heads = base .. 'heads:' .. priority
  if #types == 0 then return redis.call('ZRANGE', heads, 0, 0)[1] end
  local best, best_seq
  for i, seq in ipairs(redis.call('ZMSCORE', heads, unpack(types))) do
    if seq and (not best_seq or tonumber(seq) < best_seq) then best, best_seq = types[i], tonumber(seq) end
  end
  return best
end

local function pick(start)
  local type = first_type(start)
  if type then return start, type end
  for priority = 0, 2 do
    if priority ~= start then
      type = first_type(priority)
      if type then return priority, type end
    end
  end
end

-- Turns are counted for each set of types, so that no set's claims can fall on the same turns for ever.
local filter = #types == 0 and '*' or table.concat(types, ',')
local turn = tonumber(redis.call('HGET', base .. 'turns', filter) or 0)
local fence = tonumber(redis.call('HGET', meta, 'fence') or 0)
local taken = {}
while #taken < wanted do
  local place = turn % #rotation + 1
  local priority, type = pick(tonumber(string.sub(rotation, place, place)))
  if not priority then break end
  local id = redis.call('ZPOPMIN', ready_key(priority, type))[1]
  renew_head(priority, type)
  count('ready', type, -1)
  fence = math.max(fence + 1, now * 1000)
  local own_ms = tonumber(redis.call('HGET', task_key(id), 'lease_ms') or 0)
  local ends = now + (own_ms > 0 and own_ms or lease_ms)
  redis.call('HSET', task_key(id), 'token', string.format('%.0f', fence), 'worker', ARGV[3], 'started', now)
  redis.call('HINCRBY', task_key(id), 'attempts', 1)
  enter(id, 'leased', type, priority, ends)
  taken[#taken + 1] = view(id, ends)
  turn = turn + 1
end
if #taken > 0 then
  -- Workers may ask for ever new sets of types: beyond a thousand, all begin anew.
  if redis.call('HLEN', base .. 'turns') > 1000 then redis.call('DEL', base .. 'turns') end
  redis.call('HSET', base .. 'turns', filter, turn)
  redis.call('PEXPIRE', base .. 'turns', 3600000)
  redis.call('HSET', meta, 'fence', string.format('%.0f', fence))
end
-- Nothing is left for this claim, and its replica has more waiting: have it told when there is.
if #taken < wanted and ARGV[4] == '1' then
  local armed = {}
  if #types == 0 then armed = { '*', '1' } end
  for _, type in ipairs(types) do
    armed[#armed + 1] = '=' .. type
    armed[#armed + 1] = '1'
  end
  redis.call('HSET', base .. 'armed', unpack(armed))
  redis.call('PEXPIRE', base .. 'armed', 10000)
end
return { 0, now, taken, expired }
