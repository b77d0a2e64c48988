-- Clear a room away; only its audit log stays.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit
-- ARGV: who
-- Returns: {0, the last epoch, 0 when there was no such room}
--@include now
--@include keys
--@include state
--@include audit

local state = load_state(ROOM.state)
if not state then return { 0, 0 } end
redis.call('DEL', ROOM.state, ROOM.windows, ROOM.turns, ROOM.sessions, ROOM.log, ROOM.done, ROOM.front, ROOM.passed,
  ROOM.seen)
write_audit(KEYS[10], now_ms(), ARGV[1], 'delete', string.format('{"epoch":%.0f}', state.epoch), 'null')
return { 0, state.epoch }
