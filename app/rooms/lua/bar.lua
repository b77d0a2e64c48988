-- Keep whoever holds these places from taking new ones in the room for a time.
-- KEYS: barred
-- ARGV: bar_ms, places...
-- Returns: {0, until_ms of the first place; each further one's is a millisecond later}
--@include now
--@include bars

-- A place is "epoch-position".
local now = now_ms()
local first = math.max(now + tonumber(ARGV[1]), newest_bar(KEYS[1]) + 1)
for i = 2, #ARGV do put_bar(KEYS[1], ARGV[i], first + i - 2) end
trim_bars(KEYS[1], now)
return { 0, first }
