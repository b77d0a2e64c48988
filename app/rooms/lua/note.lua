-- Write into a room's audit log what an operator did that changes nothing in the room.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit
-- ARGV: who, action, after
-- Returns: {0}, {-1} no such room
--@include now
--@include keys
--@include audit

if redis.call('EXISTS', ROOM.state) == 0 then return { -1 } end
write_audit(KEYS[10], now_ms(), ARGV[1], ARGV[2], 'null', ARGV[3])
return { 0 }
