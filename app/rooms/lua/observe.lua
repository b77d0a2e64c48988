-- Read a room's snapshot and change nothing.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, barred
-- ARGV: known_settings_version, known_edge, known_log, known_done, known_bar
-- Returns: {0, now_ms, the numbers of _snapshot.lua…, gaps, settings or '', n, n visits, m, m ended, b, b bars, "edge:until"…}, {-1} no such room
--@include now
--@include snapshot

local state = load_state(ROOM.state)
if not state then return { -1 } end
return snapshot(state, now_ms(), { ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] }, KEYS[10])
