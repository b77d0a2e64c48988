-- Sessions: begun, looked at and prolonged. Each function answers {0, started_ms, ends_ms, last_end_ms, seq}.
--@include present

local function session_reply(limits, seq, ends_ms)
  local started_ms = math.floor(seq / 1000)
  return { 0, started_ms, ends_ms, started_ms + limits.maxSessionMs, seq }
end

-- The open turn of `position` becomes a session of `length_ms`, no longer than any may be.
local function begin_session(state, limits, now, position, length_ms)
  take_out(position)
  log_visit(state, now, position)
  local ends_ms = now + math.min(length_ms, limits.maxSessionMs)
  redis.call('ZADD', ROOM.sessions, text(ends_ms), position)
  note_length(state, now, ends_ms)
  return session_reply(limits, state.seq, ends_ms)
end

-- The session that `position` has, or nil.
local function live_session(limits, position)
  local ends_ms = redis.call('ZSCORE', ROOM.sessions, position)
  if not ends_ms then return nil end
  return session_reply(limits, tonumber(redis.call('ZSCORE', ROOM.log, position)), tonumber(ends_ms))
end

-- A live session prolonged by its whole length from now on, up to the most that a session may last.
local function prolong_session(state, limits, now, position, session)
  local ends_ms = math.max(session[3], math.min(now + limits.sessionMs, session[4]))
  redis.call('ZADD', ROOM.sessions, text(ends_ms), position)
  note_length(state, now, ends_ms)
  return session_reply(limits, session[5], ends_ms)
end

-- While the room heals, or has forgotten its epoch, it is not known who is in a session: the wait, else nil.
local function held_for(state, now, epoch)
  if state.heal_until_ms == 0 and epoch <= state.epoch then return nil end
  return { -2, math.max(1000, state.heal_until_ms - now) }
end

-- Five numbers an entry, so that replies of a batch can be told apart; an error comes with what goes with it.
local function add_reply(reply, part)
  for i = 1, 5 do reply[#reply + 1] = part[i] or 0 end
end

-- A script's whole answer, of what `one` says to each visitor of the batch; a visitor is `size` arguments from the second on.
local function answer_each(size, one)
  local state, now = present_room(tonumber(ARGV[1]))
  if not state then return { -1 } end
  local limits, reply = limits_of(state), { 0, now }
  for i = 2, #ARGV, size do
    add_reply(reply, one(state, limits, now, tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])))
  end
  save_state(ROOM.state, state)
  return reply
end
