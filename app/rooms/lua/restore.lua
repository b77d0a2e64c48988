-- Bring back visits that a replica knows of and the server has lost: sessions begin their time again, ended visits stay ended.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: epoch, visits...
-- Returns: {0, how many came back}, or {-1} when there is no such room
--@include now
--@include settle

-- Each visit is "position:sequence:kind", as the snapshot hands them out; only the kinds e and x are told.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, limits, back, epoch = now_ms(), limits_of(state), 0, tonumber(ARGV[1])
if epoch > state.epoch then
  start_anew(state, now)
  state.epoch, state.edge = epoch, 0
end
if epoch ~= state.epoch then return { 0, 0 } end
for i = 2, #ARGV do
  local member, seq, kind = string.match(ARGV[i], '^(%d+):(%d+):(%a)')
  if kind == 'x' then
    if not redis.call('ZSCORE', ROOM.done, member) then
      end_visit(state, now, member)
      back = back + 1
    end
  elseif not redis.call('ZSCORE', ROOM.sessions, member) and not redis.call('ZSCORE', ROOM.done, member) then
    local started_ms = math.floor(tonumber(seq) / 1000)
    local ends_ms = math.min(now + limits.sessionMs, started_ms + limits.maxSessionMs)
    redis.call('ZREM', ROOM.turns, member)
    redis.call('ZADD', ROOM.sessions, text(ends_ms), member)
    redis.call('ZADD', ROOM.log, seq, member)
    back = back + 1
  end
end
save_state(ROOM.state, state)
return { 0, back }
