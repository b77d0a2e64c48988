-- Make sure that a room exists, and apply its declared settings when their content is not what was applied last.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: seed, epoch, heal_ms, size, interval_ms, active_ms, counted, limits, settings
-- Returns: {0, 2 when the room was made, 1 when settings were applied, else 0}
--@include now
--@include heal

local now, values = now_ms(), { ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] }
local state = load_state(ROOM.state)
local outcome = 0
if not state then
  -- A missing room may be one that the server has lost, so it heals before the first join.
  redis.call('HSET', ROOM.state, 'epoch', ARGV[2], 'opened', 1, 'seed', ARGV[1], 'ticked_at_ms', text(now))
  state = load_state(ROOM.state)
  begin_healing(state, now, tonumber(ARGV[3]), run_id())
  apply_settings(state, now, values)
  outcome = 2
elseif ARGV[1] ~= '' and redis.call('HGET', ROOM.state, 'seed') ~= ARGV[1] then
  redis.call('HSET', ROOM.state, 'seed', ARGV[1])
  advance(state, now)
  apply_settings(state, now, values)
  outcome = 1
end
save_state(ROOM.state, state)
return { 0, outcome }
