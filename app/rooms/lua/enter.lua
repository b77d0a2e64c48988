-- Let visitors whose turn it is in: each turn becomes a session. Entering again gives the same session.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, visitors...
-- Returns: {0, now_ms, and for each: 0, started_ms, ends_ms, last_end_ms, seq}, or {-1} when there is no such room
--@include now
--@include session

-- A visitor is epoch, position and, from the ticket, until_run_ms. For one who may not enter the five numbers are: -2,
-- wait_ms healing; -5 it is not their turn yet; -7 their turn is over; -8 their visit has ended; -9 the line was
-- started anew; and zeros.

local function turn_is_open(state, position, ticket_until)
  if ticket_until > 0 and ticket_until + kept_ms(state) <= state.run_ms then return false end
  if redis.call('ZSCORE', ROOM.turns, position) then return true end
  if state.counted == 1 then return false end
  if ticket_until > 0 then return true end
  if tonumber(position) <= state.floor then return false end
  return redis.call('ZRANGEBYSCORE', ROOM.windows, position, '+inf', 'LIMIT', 0, 1)[1] ~= nil
end

local function waits(state, position)
  return tonumber(position) > state.edge or redis.call('ZSCORE', ROOM.front, position)
    or redis.call('ZSCORE', ROOM.passed, position)
end

local function enter(state, limits, now, epoch, position, ticket_until)
  if epoch < state.epoch then return { -9 } end
  local held_or_session = epoch == state.epoch and live_session(limits, position) or held_for(state, now, epoch)
  if held_or_session then return held_or_session end
  if redis.call('ZSCORE', ROOM.done, position) then return { -8 } end
  if turn_is_open(state, position, ticket_until) then
    return begin_session(state, limits, now, position, limits.sessionMs)
  end
  return { waits(state, position) and -5 or -7 }
end

return answer_each(3, enter)
