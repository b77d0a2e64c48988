-- Sets the end of a holder's lease to a full lease from now; the first time, this confirms a hand-over.
-- KEYS: holders, line, state, fence
-- ARGV: channel_prefix, confirm_ms, alive_ms, keep_ms, fence_keep_ms, token, lease_ms
-- Returns: {status, fence, now_ms, expired}
--@include lock
local token, lease_ms = ARGV[6], tonumber(ARGV[7])
local GRANTED, LOST = 1, 6

local now = now_ms()
local expired = lapse(now)
local mine = redis.call('HGET', state, 'g:' .. token)
if not mine then
  hand_over(now)
  tidy()
  return {LOST, '0', now, expired}
end
local fence, since, confirmed, replica, owner = string.match(mine, '^(%d+) (%d+) %d+ (%d) (%S+) (.*)$')
if confirmed == '0' then
  since = whole(now)
end
redis.call('ZADD', holders, now + lease_ms, token)
redis.call('PEXPIRE', holders, keep_ms)
redis.call('HSET', state, 'g:' .. token,
  string.format('%s %s %.0f 1 %s %s', fence, since, lease_ms, replica, owner))
redis.call('PEXPIRE', state, keep_ms)
return {GRANTED, fence, now, expired}
