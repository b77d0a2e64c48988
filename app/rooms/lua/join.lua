-- Give a batch of visitors the next positions, in their order, and whoever the limits have room for their turn.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, operation, barred, special...
-- ARGV: count, heal_ms, operation_ttl_ms, address_window_ms, told_ms, special...
-- Returns: {0, now_ms, epoch, first, edge, run_ms, until_run_ms, given, '' or "epoch:position:until:joined_ms:ticket_id" or "!wait_ms" or "-wait_ms"…},
--   {-1} no such room, {-2, wait_ms} healing, {-3} closed, {-6} turned away
--@include now
--@include newcomers

-- A special visitor brings five arguments: the index within the batch (from 0), the ticket id, how long the place
-- is kept under a key of the visitor's own (0: there is none), whether only a live place counts (1 for identities,
-- 0 for idempotency keys), and how many joins the address may make in its window (0: any number). The special keys
-- are, in their order, the visitor's own and the address's, where there are such.

local function place_is_live(state, stored)
  local epoch, position, until_run_ms = string.match(stored, '^(%d+):(%d+):(%d+):')
  if tonumber(epoch) ~= state.epoch then return false end
  if redis.call('ZSCORE', ROOM.done, position) then return false end
  if tonumber(position) > state.edge then return true end
  if redis.call('ZSCORE', ROOM.sessions, position) or redis.call('ZSCORE', ROOM.front, position) then return true end
  local ends = redis.call('ZSCORE', ROOM.turns, position) or redis.call('ZSCORE', ROOM.passed, position)
  if not ends and state.counted == 1 then return false end
  if not ends and tonumber(until_run_ms) > 0 then ends = until_run_ms end
  if not ends then
    local window = redis.call('ZRANGEBYSCORE', ROOM.windows, position, '+inf', 'LIMIT', 0, 1)[1]
    ends = window and string.match(window, ':(%d+)$') or 0
  end
  return tonumber(ends) > state.run_ms
end

local function read_specials()
  local specials, key = {}, 12
  for i = 6, #ARGV, 5 do
    local special = { index = tonumber(ARGV[i]), ticket_id = ARGV[i + 1], ttl_ms = tonumber(ARGV[i + 2]),
      live_only = ARGV[i + 3] == '1', limit = tonumber(ARGV[i + 4]) }
    if special.ttl_ms > 0 then
      special.key = KEYS[key]
      key = key + 1
    end
    if special.limit > 0 then
      special.address = KEYS[key]
      key = key + 1
    end
    specials[#specials + 1] = special
  end
  return specials
end

-- How much longer the holder of a stored place may take no new one.
local function barred_for(state, stored)
  local until_ms = redis.call('ZSCORE', KEYS[11], (string.gsub(string.match(stored, '^%d+:%d+'), ':', '-')))
  return until_ms and tonumber(until_ms) - state.ticked_at_ms or 0
end

-- What a special visitor gets instead of a new place, if anything; the limit counts new places only.
local function answered(state, special, first_with)
  if special.key then
    local stored = redis.call('GET', special.key)
    local bar_ms = stored and special.live_only and barred_for(state, stored) or 0
    if bar_ms > 0 then return '-' .. text(bar_ms) end
    if stored and tonumber(string.match(stored, '^(%d+):')) == state.epoch
      and not (special.live_only and not place_is_live(state, stored)) then
      return stored
    end
    if first_with[special.key] then return first_with[special.key] end
  end
  if special.address then
    local joins = redis.call('INCR', special.address)
    if joins == 1 then redis.call('PEXPIRE', special.address, ARGV[4]) end
    if joins > special.limit then return '!' .. math.max(1, redis.call('PTTL', special.address)) end
  end
  if special.key then first_with[special.key] = special end
  return nil
end

-- How many more may join: those who would wait beyond maxWaiting may not.
local function places_left(state, limits, wanted)
  if not limits.maxWaiting then return wanted end
  local waiting, at_once = waiting_in(state) + redis.call('ZCARD', ROOM.front), 0
  if waiting == 0 and state.opened == 1 and state.paused == 0 then
    at_once = state.counted == 1 and allowance(state, limits) or state.edge - state.last
  end
  return math.min(wanted, math.max(0, at_once) + math.max(0, limits.maxWaiting - waiting))
end

local again = redis.call('GET', KEYS[10])
if again then return cjson.decode(again) end
local state, now = present_room(tonumber(ARGV[2]))
if not state then return { -1 } end
local limits = limits_of(state)
local refused = refusal(state, limits, now)
if refused then
  save_state(ROOM.state, state)
  return refused
end

local specials, answers, first_with, known = read_specials(), {}, {}, 0
for i, special in ipairs(specials) do
  special.order = special.index - known
  answers[i] = answered(state, special, first_with)
  if answers[i] then known = known + 1 end
end
local given = places_left(state, limits, tonumber(ARGV[1]) - known)
local first = give_places(state, limits, now, given, tonumber(ARGV[5]), tonumber(ARGV[2]))
local until_run_ms = newest_turns_end(state)

local function keep_place(special)
  local position = first + special.order
  if not special.key or special.order >= given then return '' end
  local active_until = position <= state.edge and until_run_ms or 0
  special.stored = string.format('%.0f:%.0f:%.0f:%.0f:%s', state.epoch, position, active_until, now, special.ticket_id)
  redis.call('SET', special.key, special.stored, 'PX', text(special.ttl_ms))
  return ''
end

local reply = { 0, now, state.epoch, first, state.edge, state.run_ms, until_run_ms, given }
for i, special in ipairs(specials) do
  local answer = answers[i] or keep_place(special)
  if type(answer) == 'table' then answer = answer.stored or '' end
  reply[#reply + 1] = answer
end

save_state(ROOM.state, state)
redis.call('SET', KEYS[10], cjson.encode(reply), 'PX', ARGV[3])
return reply
