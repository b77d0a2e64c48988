-- Prolong sessions by their whole length, up to the most that a session may last.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, visitors...
-- Returns: {0, now_ms, and for each: 0, started_ms, ends_ms, last_end_ms, seq}, or {-1} when there is no such room
--@include now
--@include session

-- A visitor is epoch and position. For one without a session the five numbers are: -2, wait_ms healing; -8 it has
-- ended; -9 the line was started anew; -10 there is none; and zeros.

local function renew(state, limits, now, epoch, position)
  if epoch < state.epoch then return { -9 } end
  local session = epoch == state.epoch and live_session(limits, position)
  if session then return prolong_session(state, limits, now, position, session) end
  local held = held_for(state, now, epoch)
  if held then return held end
  return { redis.call('ZSCORE', ROOM.done, position) and -8 or -10 }
end

return answer_each(2, renew)
