-- Bars: places whose holders may take no new one, by the server time until then. Ends always rise in the order in which
-- they are set, so that replicas read what is new by cursor. Of more than these the oldest end early.
local MOST_BARRED = 200000

local function newest_bar(key) return tonumber(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2] or 0) end

local function put_bar(key, place, until_ms) redis.call('ZADD', key, 'GT', string.format('%.0f', until_ms), place) end

-- Forget bars that are over; the key goes with the last.
local function trim_bars(key, now)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  redis.call('ZREMRANGEBYRANK', key, 0, -MOST_BARRED - 1)
  local left_ms = newest_bar(key) - now
  if left_ms > 0 then redis.call('PEXPIRE', key, string.format('%.0f', left_ms)) end
end
