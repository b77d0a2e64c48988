-- Note who has asked for their place of late; whoever was passed over and asks within the grace is next in line.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: epoch, sightings...
-- Returns: {0, how many came back}, or {-1} when there is no such room
--@include now
--@include advance

-- Sightings come in pairs: a position, and the milliseconds it was told to wait before asking again.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, limits, back = now_ms(), limits_of(state), 0
if tonumber(ARGV[1]) ~= state.epoch then return { 0, 0 } end
for i = 2, #ARGV, 2 do
  local member = ARGV[i]
  if tonumber(member) > state.edge then
    if limits.passOverMs and tonumber(member) <= state.last then
      local present_until = state.run_ms + tonumber(ARGV[i + 1]) + limits.passOverMs
      redis.call('ZADD', ROOM.seen, 'GT', text(present_until), member)
    end
  elseif redis.call('ZREM', ROOM.passed, member) == 1 then
    redis.call('ZADD', ROOM.front, member, member)
    log_visit(state, now, member)
    back = back + 1
  end
end
if back > 0 and state.heal_until_ms == 0 then advance(state, now) end
save_state(ROOM.state, state)
return { 0, back }
