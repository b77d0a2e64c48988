-- What every script of a lock shares. All of them take the same first keys and arguments:
--   KEYS 1..4: holders, line, state, fence
--   ARGV 1..5: channel_prefix, confirm_ms, alive_ms, keep_ms, fence_keep_ms
--
--   holders  zset  token by the end of its lease (ms)
--   line     zset  waiting token by its arrival (µs; unique)
--   state    hash  limit                how many may hold at once
--                  g:<token>            "fence since_ms lease_ms confirmed replica owner" of a holder
--                  w:<token>            "deadline_ms lease_ms replica owner" of a waiter
--                  r:<replica>          until when (ms) the replica counts as alive; none: it left a hand-over unconfirmed
--                  heard                until when any replica does
--                  grace                until when those count as alive too that have not been heard since nobody was
--                  last                 the latest arrival given out
--   fence    string  the last fencing token
--@include now
local holders, line, state, fence_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel_prefix, confirm_ms, alive_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local keep_ms, fence_keep_ms = ARGV[4], ARGV[5]

local function whole(number)
  return string.format('%.0f', number)
end

-- Arrivals and fences: beyond the last one, and never behind the clock. So they rise even when the server
-- has lost its latest writes, as long as its clock is not behind by more than the writes it lost.
local function rising(last, now)
  return math.max((tonumber(last) or 0) + 1, now * 1000)
end

local function limit_now()
  return tonumber(redis.call('HGET', state, 'limit')) or 1
end

local function forget_waiter(token)
  redis.call('ZREM', line, token)
  redis.call('HDEL', state, 'w:' .. token)
end

local function forget_holder(token)
  redis.call('ZREM', holders, token)
  redis.call('HDEL', state, 'g:' .. token)
end

-- A replica that asks on behalf of its waiters is alive. Where nobody had been heard for so long, it was the store that was
-- away: the others have as long again to be heard of, and keep their places meanwhile.
local function mark_alive(replica, now)
  local heard = tonumber(redis.call('HGET', state, 'heard'))
  if heard and heard <= now then
    redis.call('HSET', state, 'grace', whole(now + alive_ms))
  end
  local until_ms = whole(now + alive_ms)
  redis.call('HSET', state, 'r:' .. replica, until_ms, 'heard', until_ms)
end

local function is_alive(replica, now)
  local marks = redis.call('HMGET', state, 'r:' .. replica, 'heard', 'grace')
  local own, heard, grace = tonumber(marks[1]), tonumber(marks[2]) or 0, tonumber(marks[3]) or 0
  if not own then return false end
  return own > now or heard <= now or grace > now
end

-- Takes the lock from holders whose lease has ended; a replica that left a hand-over unconfirmed counts as
-- dead until it asks again. Returns how many leases of confirmed holders ran out.
local function lapse(now)
  local ended = redis.call('ZRANGEBYSCORE', holders, '-inf', now)
  local expired = 0
  for _, token in ipairs(ended) do
    local confirmed, replica = string.match(
      redis.call('HGET', state, 'g:' .. token) or '', '^%d+ %d+ %d+ (%d) (%S+)')
    if confirmed == '0' then
      redis.call('HDEL', state, 'r:' .. replica)
    else
      expired = expired + 1
    end
    forget_holder(token)
  end
  return expired
end

-- Makes `token` a holder and returns its fence.
local function grant(token, now, held_ms, lease_ms, confirmed, replica, owner)
  local fence = whole(rising(redis.call('GET', fence_key), now))
  redis.call('SET', fence_key, fence, 'PX', fence_keep_ms)
  redis.call('ZADD', holders, now + held_ms, token)
  redis.call('PEXPIRE', holders, keep_ms)
  redis.call('HSET', state, 'g:' .. token,
    string.format('%s %.0f %.0f %d %s %s', fence, now, lease_ms, confirmed, replica, owner))
  return fence
end

-- Gives every free place to the head of the line, with a short lease to confirm in, and tells its replica
-- alone. Waiters whose wait is over, or whose replica is dead, are taken out of the line on the way.
local function hand_over(now)
  local free = limit_now() - redis.call('ZCARD', holders)
  while free > 0 do
    local token = redis.call('ZRANGE', line, 0, 0)[1]
    if not token then return end
    local deadline, lease_ms, replica, owner = string.match(
      redis.call('HGET', state, 'w:' .. token) or '', '^(%d+) (%d+) (%S+) (.*)$')
    forget_waiter(token)
    if deadline and tonumber(deadline) > now then
      if is_alive(replica, now) then
        local fence = grant(token, now, confirm_ms, tonumber(lease_ms), 0, replica, owner)
        redis.call('PUBLISH', channel_prefix .. replica, token .. ' ' .. fence)
        free = free - 1
      end
    end
  end
end

-- Milliseconds until the next lease ends; 0 when nobody holds.
local function next_end_in(now)
  local first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')
  if not first[2] then return 0 end
  return math.max(tonumber(first[2]) - now, 1)
end

-- Removes the state of a lock that nobody holds or waits for; else it lives on for a while.
local function tidy()
  if redis.call('EXISTS', holders, line) == 0 then
    redis.call('DEL', state)
  else
    redis.call('PEXPIRE', state, keep_ms)
  end
end
