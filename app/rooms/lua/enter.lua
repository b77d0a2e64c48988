-- Let a visitor whose turn it is in: the turn becomes a session. Entering again gives the same session.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, epoch, position, until_run_ms
-- Returns: {0, now_ms, started_ms, ends_ms, last_end_ms, seq}, {-1} no such room, {-2, wait_ms} healing,
--   {-5} it is not their turn yet, {-7} their turn is over, {-8} their visit has ended, {-9} the line was started anew
--@include now
--@include heal

local function turn_is_open(state, position, ticket_until)
  if redis.call('ZSCORE', ROOM.turns, position) then return true end
  if state.counted == 1 then return false end
  if ticket_until > 0 then return ticket_until > state.run_ms end
  if tonumber(position) <= state.floor then return false end
  return redis.call('ZRANGEBYSCORE', ROOM.windows, position, '+inf', 'LIMIT', 0, 1)[1] ~= nil
end

local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, position = now_ms(), ARGV[3]
notice_restart(state, now, tonumber(ARGV[1]))
finish_healing(state, now)
advance(state, now)
local limits, reply, epoch = limits_of(state), nil, tonumber(ARGV[2])
local ends_ms = epoch == state.epoch and redis.call('ZSCORE', ROOM.sessions, position)
if epoch < state.epoch then
  reply = { -9 }
elseif ends_ms then
  local seq = tonumber(redis.call('ZSCORE', ROOM.log, position))
  local started_ms = math.floor(seq / 1000)
  reply = { 0, now, started_ms, tonumber(ends_ms), started_ms + limits.maxSessionMs, seq }
elseif state.heal_until_ms > 0 or epoch > state.epoch then
  reply = { -2, math.max(1000, state.heal_until_ms - now) }
elseif redis.call('ZSCORE', ROOM.done, position) then
  reply = { -8 }
elseif turn_is_open(state, position, tonumber(ARGV[4])) then
  redis.call('ZREM', ROOM.turns, position)
  log_visit(state, now, position)
  local started_ms = math.floor(state.seq / 1000)
  local until_ms = now + math.min(limits.sessionMs, limits.maxSessionMs)
  redis.call('ZADD', ROOM.sessions, text(until_ms), position)
  reply = { 0, now, started_ms, until_ms, started_ms + limits.maxSessionMs, state.seq }
elseif tonumber(position) > state.edge or redis.call('ZSCORE', ROOM.front, position)
  or redis.call('ZSCORE', ROOM.passed, position) then
  reply = { -5 }
else
  reply = { -7 }
end
save_state(ROOM.state, state)
return reply
