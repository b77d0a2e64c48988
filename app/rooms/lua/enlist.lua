-- Say that a room is there, or is gone.
-- KEYS: index
-- ARGV: room, expected, state
-- Returns: {0, state before or ''}, or {-4, state} when it is neither what was expected nor already so
--@include changed_index

-- `expected` is what the state must begin with, '' for no matter what.
local state = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if state == ARGV[3] then return { 0, state } end
if ARGV[2] == 'live' and string.sub(state, 1, 4) ~= 'live' then return { -4, state } end
if ARGV[2] == 'gone' and string.sub(state, 1, 4) == 'live' then return { -4, state } end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
changed_index(KEYS[1], tonumber(redis.call('HGET', KEYS[1], '#') or 0))
return { 0, state }
