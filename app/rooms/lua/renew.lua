-- Prolong a session by its whole length, up to the most that a session may last.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, epoch, position
-- Returns: {0, now_ms, started_ms, ends_ms, last_end_ms, seq}, {-1} no such room, {-2, wait_ms} healing,
--   {-8} the session has ended, {-9} the line was started anew, {-10} there is no session
--@include now
--@include heal

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
  local last_end_ms = started_ms + limits.maxSessionMs
  local until_ms = math.max(tonumber(ends_ms), math.min(now + limits.sessionMs, last_end_ms))
  redis.call('ZADD', ROOM.sessions, text(until_ms), position)
  reply = { 0, now, started_ms, until_ms, last_end_ms, seq }
elseif state.heal_until_ms > 0 or epoch > state.epoch then
  reply = { -2, math.max(1000, state.heal_until_ms - now) }
else
  reply = { redis.call('ZSCORE', ROOM.done, position) and -8 or -10 }
end
save_state(ROOM.state, state)
return reply
