-- Make sure that a room exists, and apply its declared settings when their content is not what was applied last.
-- KEYS: state
-- ARGV: seed, settings, size, interval_ms, active_ms, heal_ms
-- Returns: {0, 2 when the room was made, 1 when settings were applied, else 0}
--@include now
--@include heal

local size, interval_ms, active_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local state = load_state(KEYS[1])
local outcome = 0
if not state then
  -- A missing room may be one that the server has lost, so it heals before the first join.
  redis.call('HSET', KEYS[1], 'epoch', 1, 'edge', size, 'size', size, 'interval_ms', interval_ms, 'active_ms', active_ms,
    'version', 1, 'settings_version', 1, 'settings', ARGV[2], 'seed', ARGV[1])
  state = load_state(KEYS[1])
  local now = now_ms()
  state.ticked_at_ms = now
  begin_healing(state, now, tonumber(ARGV[6]), run_id())
  outcome = 2
elseif redis.call('HGET', KEYS[1], 'seed') ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'seed', ARGV[1], 'settings', ARGV[2])
  state.size, state.interval_ms, state.active_ms = size, interval_ms, active_ms
  resize_empty_line(state)
  state.settings_version = state.settings_version + 1
  state.version = state.version + 1
  outcome = 1
end
save_state(KEYS[1], state)
return { 0, outcome }
