-- Let newcomers straight in where nobody waits: place, turn and session in one. Whoever there is no room for takes no place.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, count, length_ms
-- Returns: {0, now_ms, epoch, edge, until_run_ms, and for each let in: position, started_ms, ends_ms, last_end_ms, seq}, {-1} no such room, {-2, wait_ms} healing, {-3} closed, {-6} turned away
--@include now
--@include newcomers
--@include session

-- Free places behind the edge of a room that lets in by batches alone; turns that the limits would give elsewhere.
local function room_for(state, limits)
  if state.opened == 0 or state.paused == 1 then return 0 end
  if waiting_in(state) > 0 or redis.call('ZCARD', ROOM.front) > 0 then return 0 end
  if state.counted == 0 then return math.max(0, state.edge - state.last) end
  return (allowance(state, limits))
end

local state, now = present_room(tonumber(ARGV[1]))
if not state then return { -1 } end
local limits = limits_of(state)
local refused = refusal(state, limits, now)
if refused then
  save_state(ROOM.state, state)
  return refused
end

local given = math.min(tonumber(ARGV[2]), room_for(state, limits))
local first = give_places(state, limits, now, given, 0, tonumber(ARGV[1]))
local reply = { 0, now, state.epoch, state.edge, newest_turns_end(state) }
for position = first, state.last do
  if state.counted == 0 or redis.call('ZSCORE', ROOM.turns, text(position)) then
    local session = begin_session(state, limits, now, text(position), tonumber(ARGV[3]))
    session[1] = position
    add_reply(reply, session)
  end
end
save_state(ROOM.state, state)
return reply
