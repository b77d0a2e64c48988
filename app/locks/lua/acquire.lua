-- Takes the lock, or a place in its line when there is a wait; asking again with the same token changes nothing.
-- KEYS: holders, line, state, fence, done
-- ARGV: channel_prefix, confirm_ms, alive_ms, keep_ms, fence_keep_ms, token, replica, lease_ms, wait_ms, limit, arrival, max_waiters, owner
-- Returns: {status, fence, now_ms, expired} granted | {status, arrival, next_end_in_ms, expired} waiting | {status, limit, next_end_in_ms, expired} refused
--@include lock
local token, replica, lease_ms, wait_ms = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local limit, arrival, max_waiters, owner = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13]
local GRANTED, WAITING, HELD, OTHER_LIMIT, LINE_FULL, LOST = 1, 2, 3, 4, 5, 6

local now = now_ms()
if redis.call('EXISTS', KEYS[5]) == 1 then
  return {LOST, '0', 0, 0} -- given up before it arrived here
end
local expired = lapse(now)
hand_over(now) -- perhaps to this very token, when it asks again just as the lock has come free

local mine = redis.call('HGET', state, 'g:' .. token)
if mine then
  local fence = string.match(mine, '^(%d+)')
  redis.call('ZADD', holders, now + lease_ms, token)
  redis.call('HSET', state, 'g:' .. token,
    string.format('%s %.0f %.0f 1 %s %s', fence, now, lease_ms, replica, owner))
  redis.call('PEXPIRE', state, keep_ms)
  return {GRANTED, fence, now, expired}
end

local in_use = redis.call('EXISTS', holders, line) > 0
local present = limit_now()
if in_use and present ~= limit then
  tidy()
  return {OTHER_LIMIT, whole(present), next_end_in(now), expired}
end
redis.call('HSET', state, 'limit', limit)

if redis.call('ZCARD', holders) < limit and redis.call('ZCARD', line) == 0 then
  local fence = grant(token, now, lease_ms, lease_ms, 1, replica, owner)
  redis.call('PEXPIRE', state, keep_ms)
  return {GRANTED, fence, now, expired}
end
if wait_ms <= 0 then
  tidy()
  return {HELD, whole(limit), next_end_in(now), expired}
end

local place = redis.call('ZSCORE', line, token)
if not place then
  if redis.call('ZCARD', line) >= max_waiters then
    tidy()
    return {LINE_FULL, whole(limit), next_end_in(now), expired}
  end
  local last = redis.call('HGET', state, 'last')
  if arrival > 0 then
    place = whole(arrival) -- it stood here before the server lost it
    redis.call('HSET', state, 'last', whole(math.max(tonumber(last) or 0, arrival)))
  else
    place = whole(rising(last, now))
    redis.call('HSET', state, 'last', place)
  end
  redis.call('ZADD', line, place, token)
  redis.call('PEXPIRE', line, keep_ms)
end
redis.call('HSET', state, 'w:' .. token, string.format('%.0f %.0f %s %s', now + wait_ms, lease_ms, replica, owner))
mark_alive(replica, now)
tidy()
return {WAITING, whole(tonumber(place)), next_end_in(now), expired}
