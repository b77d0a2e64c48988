-- Count a replica's polls, and write down the room's figures if nobody has done so in the present stretch of time.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, history, polls
-- ARGV: every_ms, keep, ttl_ms, polls, wait_s
-- Returns: {0, 1 when a sample was written}, {-1} no such room
--@include now
--@include visits

-- "at:epoch:counted:joined:waiting:on turn:inside:admitted:abandoned:polls:wait": those from joined on that are not
-- the moment's own count up, so that whoever reads takes differences. `wait_s` is the caller's estimate, -1 when unknown.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local polls = redis.call('INCRBY', KEYS[11], ARGV[4])
redis.call('PEXPIRE', KEYS[11], ARGV[3])
local now = now_ms()
local at = now - now % tonumber(ARGV[1])
local newest = redis.call('LINDEX', KEYS[10], 0)
if newest and tonumber(string.match(newest, '^(%d+):')) >= at then return { 0, 0 } end

local joined, in_line = state.last - state.gap_total, waiting_in(state)
local on_turn, admitted = redis.call('ZCARD', ROOM.turns), state.admitted
if state.counted == 0 then
  on_turn, admitted = math.max(0, math.min(state.edge, state.last) - state.floor), joined - in_line
end
local sample = {
  at, state.epoch, state.counted, joined, in_line + redis.call('ZCARD', ROOM.front), on_turn,
  redis.call('ZCARD', ROOM.sessions), admitted, state.abandoned, polls, tonumber(ARGV[5]),
}
for i, number in ipairs(sample) do sample[i] = text(number) end
redis.call('LPUSH', KEYS[10], table.concat(sample, ':'))
redis.call('LTRIM', KEYS[10], 0, ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[10], ARGV[3])
return { 0, 1 }
