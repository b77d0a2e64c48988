-- Do what is due in a room (running time, edge, healing), and read its snapshot.
-- KEYS: state, windows
-- ARGV: heal_ms, known_settings_version, known_edge
-- Returns: as observe.lua
--@include now
--@include heal
--@include snapshot

local state = load_state(KEYS[1])
if not state then return { -1 } end
local now = now_ms()
notice_restart(state, now, tonumber(ARGV[1]))
finish_healing(KEYS[2], state, now)
advance(KEYS[2], state, now)
save_state(KEYS[1], state)
return snapshot(KEYS[1], KEYS[2], state, now, tonumber(ARGV[2]), ARGV[3])
