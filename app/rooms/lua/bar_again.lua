-- Bring back bars that a replica knows of and the server may have lost.
-- KEYS: barred
-- ARGV: bars...
-- Returns: {0, how many came back}
--@include now
--@include bars

-- Bars come in pairs: a place, and the server time until which it is barred.
local now, before = now_ms(), redis.call('ZCARD', KEYS[1])
for i = 1, #ARGV, 2 do put_bar(KEYS[1], ARGV[i], tonumber(ARGV[i + 1])) end
local back = redis.call('ZCARD', KEYS[1]) - before
trim_bars(KEYS[1], now)
return { 0, back }
