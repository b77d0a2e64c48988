-- Change a room's settings, when they are still the version that the caller saw.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit
-- ARGV: expected_version, who, before, after, size, interval_ms, active_ms, counted, limits, settings
-- Returns: {0, settings_version}, {-1} no such room, {-2, wait_ms} healing, {-4, settings_version} somebody else changed them first
--@include now
--@include heal
--@include audit

local state = load_state(ROOM.state)
if not state then return { -1 } end
local now = now_ms()
finish_healing(state, now)
if state.heal_until_ms > 0 then return { -2, math.max(1, state.heal_until_ms - now) } end
if tonumber(ARGV[1]) ~= state.settings_version then return { -4, state.settings_version } end
advance(state, now)
apply_settings(state, now, { ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10] })
if state.counted == 1 then advance(state, now) end
save_state(ROOM.state, state)
write_audit(KEYS[10], now, ARGV[2], 'change', ARGV[3], ARGV[4])
return { 0, state.settings_version }
