-- Change a room's settings, when they are still the version that the caller saw.
-- KEYS: state, windows
-- ARGV: expected_version, settings, size, interval_ms, active_ms
-- Returns: {0, settings_version}, {-1} no such room, {-4, settings_version} somebody else changed them first
--@include now
--@include advance

local state = load_state(KEYS[1])
if not state then return { -1 } end
if tonumber(ARGV[1]) ~= state.settings_version then return { -4, state.settings_version } end
advance(KEYS[2], state, now_ms())
redis.call('HSET', KEYS[1], 'settings', ARGV[2])
state.size, state.interval_ms, state.active_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
resize_empty_line(state)
state.settings_version = state.settings_version + 1
state.version = state.version + 1
save_state(KEYS[1], state)
return { 0, state.settings_version }
