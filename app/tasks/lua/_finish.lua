--@include queue
-- The ends of a task: done, dead, forgotten.

local function forget(id, state)
  local task = redis.call('HMGET', task_key(id), 'type', 'priority', 'size')
  if task[1] then
    leave(id, state, task[1], task[2])
    if state == 'done' then
      redis.call('HINCRBY', meta, 'done_bytes', -tonumber(task[3] or 0))
    end
    redis.call('DEL', task_key(id))
  else
    redis.call('ZREM', base .. state, id)
  end
end

-- Drop the oldest finished tasks while there are too many, they are too big or too old; at most `bound`.
local function trim(state, now, keep_ms, keep_count, keep_bytes, bound)
  local place, dropped = base .. state, 0
  while dropped < bound do
    local oldest = redis.call('ZRANGE', place, 0, 0, 'WITHSCORES')
    if not oldest[1] then
      if state == 'done' then redis.call('HDEL', meta, 'done_bytes') end
      break
    end
    local bytes = state == 'done' and tonumber(redis.call('HGET', meta, 'done_bytes') or 0) or 0
    local keep = tonumber(oldest[2]) > now - keep_ms and redis.call('ZCARD', place) <= keep_count and bytes <= keep_bytes
    if keep then break end
    forget(oldest[1], state)
    dropped = dropped + 1
  end
  return dropped
end

-- To the dead letters. The caller has taken the task out of its place.
local function die(id, type, priority, now, reason, keep_ms, keep_count)
  redis.call('HSET', task_key(id), 'finished', now, 'reason', reason)
  redis.call('HDEL', task_key(id), 'token', 'worker')
  enter(id, 'dead', type, priority, now)
  redis.call('HINCRBY', meta, 'died', 1)
  if tonumber(redis.call('HGET', meta, 'log_until') or 0) > now then
    redis.call('RPUSH', base .. 'deathlog', id)
    redis.call('LTRIM', base .. 'deathlog', -100000, -1)
    redis.call('PEXPIRE', base .. 'deathlog', 7 * 86400000)
  end
  trim('dead', now, keep_ms, keep_count, 0, 2)
end
