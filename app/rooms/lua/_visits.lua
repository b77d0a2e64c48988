-- What happens to one visitor: a session begun, a visit ended, a place passed over. Replicas read it by cursor.
--@include keys
--@include state
--@include most_done

-- Sequence numbers follow the server's clock, so that they rise also after the server has lost its last ones,
-- and tell when a session began.
local function next_seq(state, now)
  state.seq = math.max(state.seq + 1, now * 1000)
  return state.seq
end

local function log_visit(state, now, member) redis.call('ZADD', ROOM.log, text(next_seq(state, now)), member) end

-- Take a visitor out of wherever they stand: in line, on turn, passed over or inside.
local function take_out(member)
  for _, key in ipairs({ ROOM.turns, ROOM.sessions, ROOM.front, ROOM.passed, ROOM.seen }) do
    redis.call('ZREM', key, member)
  end
end

local function end_visit(state, now, member)
  take_out(member)
  redis.call('ZREM', ROOM.log, member)
  redis.call('ZADD', ROOM.done, text(next_seq(state, now)), member)
end

-- A pass until `ends_ms` is about to be signed, or was shown.
local function note_length(state, now, ends_ms) state.remember_ms = math.max(state.remember_ms, ends_ms - now) end

local STEP = 1000

-- A turn, or the grace to come back, is kept for a quarter of a turn longer than its visitor is told, five seconds at
-- most: whoever asked in time, and could not be answered just then, asks again.
local MOST_KEPT_MS = 5000
local function kept_ms(state) return math.min(MOST_KEPT_MS, math.floor(state.active_ms / 4)) end

-- Nobody waits and nobody's turn is open: nobody's time could run out.
local function is_quiet(state)
  return state.last <= state.edge and state.run_ms >= state.expires_run_ms + kept_ms(state)
end

local function end_sessions(state, now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', ROOM.sessions, '-inf', text(now), 'LIMIT', 0, STEP)) do
    end_visit(state, now, member)
  end
end

local function end_turns(state)
  local before = text(state.run_ms - kept_ms(state))
  local over = redis.call('ZRANGEBYSCORE', ROOM.turns, '-inf', before, 'LIMIT', 0, STEP)
  if #over > 0 then
    redis.call('ZREM', ROOM.turns, unpack(over))
    state.abandoned = state.abandoned + #over
    redis.call('ZREM', ROOM.log, unpack(over))
  end
  local forgiven = redis.call('ZRANGEBYSCORE', ROOM.passed, '-inf', before, 'LIMIT', 0, STEP)
  if #forgiven > 0 then
    redis.call('ZREM', ROOM.passed, unpack(forgiven))
    redis.call('ZREM', ROOM.log, unpack(forgiven))
  end
end

-- An ended visit is remembered for an hour, to be told apart from a missed turn; and for as long as a pass that names it
-- may live, for this is how replicas know that it counts no more. No pass outlives its signing by more than the longest
-- session length so far, so none outlives its visit's end by more. The margin is for clocks that differ.
local REMEMBER_DONE_MS = 3600000
local CLOCKS_MS = 60000

-- Positions that could still come to a turn stay: forgotten, they could enter again.
local function forget_visits(state, page)
  for i = 1, #page, 2 do
    if tonumber(page[i]) <= state.floor then redis.call('ZREM', ROOM.done, page[i]) end
  end
end

local function forget_done(state, now)
  local remember_ms = math.max(REMEMBER_DONE_MS, state.remember_ms + CLOCKS_MS)
  local before = text((now - remember_ms) * 1000)
  forget_visits(state, redis.call('ZRANGEBYSCORE', ROOM.done, '-inf', before, 'WITHSCORES', 'LIMIT', 0, 100))
  local beyond = math.min(STEP, redis.call('ZCARD', ROOM.done) - MOST_DONE)
  if beyond > 0 then
    local oldest = redis.call('ZRANGE', ROOM.done, 0, beyond - 1, 'WITHSCORES')
    forget_visits(state, oldest)
    state.forgotten_ms = math.max(state.forgotten_ms, math.ceil(tonumber(oldest[#oldest]) / 1000))
  end
end
