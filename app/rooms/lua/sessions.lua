-- List sessions of a room, a page at a time: those that end first before the others, or the other way round.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: offset, count, latest
-- Returns: {0, now_ms, epoch, sessions, turns, front, "position:started_ms:ends_ms"…}, or {-1} when there is no such room
--@include now
--@include keys
--@include state

local state = load_state(ROOM.state)
if not state then return { -1 } end
local now = now_ms()
local reply = { 0, now, state.epoch, redis.call('ZCOUNT', ROOM.sessions, '(' .. text(now), '+inf'),
  redis.call('ZCARD', ROOM.turns), redis.call('ZCARD', ROOM.front) }
local page
if ARGV[3] == '1' then
  page = redis.call('ZREVRANGEBYSCORE', ROOM.sessions, '+inf', '(' .. text(now), 'WITHSCORES', 'LIMIT', ARGV[1], ARGV[2])
else
  page = redis.call('ZRANGEBYSCORE', ROOM.sessions, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', ARGV[1], ARGV[2])
end
for i = 1, #page, 2 do
  local seq = tonumber(redis.call('ZSCORE', ROOM.log, page[i]) or 0)
  reply[#reply + 1] = page[i] .. ':' .. text(math.floor(seq / 1000)) .. ':' .. text(tonumber(page[i + 1]))
end
return reply
