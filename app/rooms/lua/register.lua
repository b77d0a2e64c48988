-- Take in sessions that the server does not know but passes prove: it has lost them. Each lasts as long as its pass.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: epoch, passes...
-- Returns: {0, how many were unknown}, or {-1} when there is no such room
--@include now
--@include advance

-- Passes come in pairs: a position, and the server time that the pass ends at. An ended visit stays ended.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, unknown = now_ms(), 0
if tonumber(ARGV[1]) ~= state.epoch then return { 0, 0 } end
for i = 2, #ARGV, 2 do
  local member, ends_ms = ARGV[i], tonumber(ARGV[i + 1])
  local known = redis.call('ZSCORE', ROOM.sessions, member) or redis.call('ZSCORE', ROOM.done, member)
  if not known and ends_ms > now then
    take_out(member)
    redis.call('ZADD', ROOM.sessions, text(ends_ms), member)
    log_visit(state, now, member)
    note_length(state, now, ends_ms)
    unknown = unknown + 1
  end
end
save_state(ROOM.state, state)
return { 0, unknown }
