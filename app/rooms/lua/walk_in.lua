-- Let newcomers straight in where nobody waits: place, turn and session in one. Whoever there is no room for takes no place.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, count, length_ms
-- Returns: {0, now_ms, epoch, edge, until_run_ms, and for each let in: position, started_ms, ends_ms, last_end_ms, seq}, {-1} no such room, {-2, wait_ms} healing, {-3} closed, {-6} turned away
--@include now
--@include heal
--@include session

-- Free places behind the edge of a room that lets in by batches alone; turns that the limits would give elsewhere.
local function room_for(state, limits)
  if state.opened == 0 or state.paused == 1 then return 0 end
  if waiting_in(state) > 0 or redis.call('ZCARD', ROOM.front) > 0 then return 0 end
  if state.counted == 0 then return math.max(0, state.edge - state.last) end
  return (allowance(state, limits))
end

local state = load_state(ROOM.state)
if not state then return { -1 } end
local now = now_ms()
notice_restart(state, now, tonumber(ARGV[1]))
finish_healing(state, now)
advance(state, now)
local limits = limits_of(state)
local refused = state.heal_until_ms > 0 and { -2, math.max(1, state.heal_until_ms - now) }
  or state.closed == 1 and { -3 } or limits.method == 'reject' and { -6 }
if refused then
  save_state(ROOM.state, state)
  return refused
end

local first = state.last + 1
local given = math.min(tonumber(ARGV[2]), room_for(state, limits))
state.last = state.last + given
if given > 0 and state.counted == 1 then
  if limits.passOverMs then  -- they are here, as the turn's giving wants to know
    for position = first, state.last do redis.call('ZADD', ROOM.seen, text(state.run_ms + 1), text(position)) end
  end
  admit(state, limits, now)
elseif given > 0 then
  state.expires_run_ms = math.max(state.expires_run_ms, state.run_ms + state.active_ms)
end
local newest = redis.call('ZREVRANGE', ROOM.windows, 0, 0)[1]
local reply = { 0, now, state.epoch, state.edge, newest and tonumber(string.match(newest, ':(%d+)$')) or 0 }
for position = first, state.last do
  if state.counted == 0 or redis.call('ZSCORE', ROOM.turns, text(position)) then
    local session = begin_session(state, limits, now, text(position), tonumber(ARGV[3]))
    session[1] = position
    add_reply(reply, session)
  end
end
count_given(state, now, given, tonumber(ARGV[1]))
save_state(ROOM.state, state)
return reply
