-- Gives up a hold, and hands the lock to the next in line, or gives up a place in line; remembers the answer for a repeat.
-- KEYS: holders, line, state, fence, done
-- ARGV: channel_prefix, confirm_ms, alive_ms, keep_ms, fence_keep_ms, token, remember_ms
-- Returns: {status, expired}
--@include lock
local token, remember_ms = ARGV[6], tonumber(ARGV[7])
local LOST, RELEASED = 6, 7

local now = now_ms()
local before = redis.call('GET', KEYS[5])
if before then
  return {tonumber(before), 0}
end
local expired = lapse(now)
local status = LOST
if redis.call('ZSCORE', holders, token) then
  forget_holder(token)
  status = RELEASED
elseif redis.call('ZSCORE', line, token) then
  forget_waiter(token)
  status = RELEASED
end
hand_over(now)
tidy()
if remember_ms > 0 then
  redis.call('SET', KEYS[5], status, 'PX', remember_ms)
end
return {status, expired}
