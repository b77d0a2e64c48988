-- A replica asks for its waiters of one lock: it counts as alive, a free lock is handed over, and what it missed is told.
-- KEYS: holders, line, state, fence
-- ARGV: channel_prefix, confirm_ms, alive_ms, keep_ms, fence_keep_ms, replica, tokens...
-- Returns: {status, next_end_in_ms, expired, {token, fence, ...} granted, {token, ...} unknown here}
--@include lock
local replica = ARGV[6]
local FIRST_TOKEN = 7
local WAITING = 2

local now = now_ms()
local expired = lapse(now)
if redis.call('EXISTS', state) == 1 then
  mark_alive(replica, now)
end
hand_over(now)
local granted, unknown = {}, {}
for i = FIRST_TOKEN, #ARGV do
  local token = ARGV[i]
  local mine = redis.call('HGET', state, 'g:' .. token)
  if mine then
    granted[#granted + 1] = token
    granted[#granted + 1] = string.match(mine, '^(%d+)')
  elseif redis.call('HEXISTS', state, 'w:' .. token) == 0 then
    unknown[#unknown + 1] = token
  end
end
tidy()
return {WAITING, next_end_in(now), expired, granted, unknown}
