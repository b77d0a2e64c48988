-- Read a room's snapshot and change nothing.
-- KEYS: state, windows
-- ARGV: known_settings_version, known_edge
-- Returns: {0, now_ms, the numbers of _snapshot.lua…, gaps, settings or '', "edge:until"…}, or {-1} when there is no such room
--@include now
--@include snapshot

local state = load_state(KEYS[1])
if not state then return { -1 } end
return snapshot(KEYS[1], KEYS[2], state, now_ms(), tonumber(ARGV[1]), ARGV[2])
