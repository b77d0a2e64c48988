-- Make a room at an operator's word; what is left of an earlier one of that name is cleared away.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit
-- ARGV: who, epoch, shown, size, interval_ms, active_ms, counted, limits, settings
-- Returns: {0, epoch}, or {-4, epoch} when somebody else makes it at this moment
--@include now
--@include heal
--@include audit

local now = now_ms()
local old = load_state(ROOM.state)
-- What is so new is being made by somebody else, and has visitors perhaps; what is older was left by who died over it.
local MAKING_MS = 10000
if old and now - old.ticked_at_ms < MAKING_MS then return { -4, old.epoch } end
local epoch = math.max(tonumber(ARGV[2]), old and old.epoch + 1 or 1)
redis.call('DEL', ROOM.state, ROOM.windows, ROOM.turns, ROOM.sessions, ROOM.log, ROOM.done, ROOM.front, ROOM.passed,
  ROOM.seen)
redis.call('HSET', ROOM.state, 'epoch', text(epoch), 'opened', 1, 'run_id', run_id(), 'ticked_at_ms', text(now))
local state = load_state(ROOM.state)
apply_settings(state, now, { ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] })
save_state(ROOM.state, state)
write_audit(KEYS[10], now, ARGV[1], 'create', 'null', ARGV[3])
return { 0, epoch }
