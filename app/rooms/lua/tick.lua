-- Do what is due in a room (running time, turns, healing), and read its snapshot.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, barred
-- ARGV: known_settings_version, known_edge, known_log, known_done, known_bar, heal_ms, late_ms, run_id
-- Returns: as observe.lua
--@include now
--@include heal
--@include snapshot

-- `late_ms`: -1 does what is due; otherwise only what somebody else has left undone for that long is done.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, late_ms = now_ms(), tonumber(ARGV[7])
local act = late_ms < 0 or state.heal_until_ms > 0
if not act then
  local due = due_at(state, limits_of(state), now)
  local open = state.run_ms < state.expires_run_ms + kept_ms(state)
  act = (due > 0 and due <= now) or (open and now - state.ticked_at_ms > late_ms)
end
if act then
  notice_restart(state, now, tonumber(ARGV[6]), ARGV[8])
  finish_healing(state, now)
  advance(state, now)
  save_state(ROOM.state, state)
end
return snapshot(state, now, { ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] }, KEYS[10])
