-- What happens to one visitor: a session begun, a visit ended, a place passed over. Replicas read it by cursor.
--@include keys
--@include state

-- Sequence numbers follow the server's clock, so that they rise also after the server has lost its last ones,
-- and tell when a session began.
local function next_seq(state, now)
  state.seq = math.max(state.seq + 1, now * 1000)
  return state.seq
end

local function log_visit(state, now, member) redis.call('ZADD', ROOM.log, text(next_seq(state, now)), member) end

local function end_visit(state, now, member)
  for _, key in ipairs({ ROOM.turns, ROOM.sessions, ROOM.log, ROOM.front, ROOM.passed, ROOM.seen }) do
    redis.call('ZREM', key, member)
  end
  redis.call('ZADD', ROOM.done, text(next_seq(state, now)), member)
end

-- A visit that is over is told apart from a turn missed for this long; afterwards both are simply over.
local REMEMBER_DONE_MS = 3600000
local STEP = 1000

local function end_sessions(state, now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', ROOM.sessions, '-inf', text(now), 'LIMIT', 0, STEP)) do
    end_visit(state, now, member)
  end
end

local function end_turns(state)
  local over = redis.call('ZRANGEBYSCORE', ROOM.turns, '-inf', text(state.run_ms), 'LIMIT', 0, STEP)
  if #over > 0 then
    redis.call('ZREM', ROOM.turns, unpack(over))
    state.abandoned = state.abandoned + #over
    redis.call('ZREM', ROOM.log, unpack(over))
  end
  local forgiven = redis.call('ZRANGEBYSCORE', ROOM.passed, '-inf', text(state.run_ms), 'LIMIT', 0, STEP)
  if #forgiven > 0 then
    redis.call('ZREM', ROOM.passed, unpack(forgiven))
    redis.call('ZREM', ROOM.log, unpack(forgiven))
  end
end

local function forget_done(state, now)
  local before = text((now - REMEMBER_DONE_MS) * 1000)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', ROOM.done, '-inf', before, 'LIMIT', 0, 100)) do
    if tonumber(member) > state.floor then return end
    redis.call('ZREM', ROOM.done, member)
  end
end
