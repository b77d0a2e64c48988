--@include finish
-- What time alone changes: delayed tasks fall due, leases run out.

local function promote(now, bound)
  local due = redis.call('ZRANGEBYSCORE', base .. 'delayed', '-inf', now, 'LIMIT', 0, bound)
  for _, id in ipairs(due) do
    local task = redis.call('HMGET', task_key(id), 'type', 'priority')
    leave(id, 'delayed', task[1], task[2])
    line_up(id, task[1], task[2])
  end
  return #due
end

-- Back to the front of its line, unless that has happened too often.
local function reap(now, bound, max_expiries, keep_ms, keep_count)
  local over = redis.call('ZRANGEBYSCORE', base .. 'leased', '-inf', now, 'LIMIT', 0, bound)
  for _, id in ipairs(over) do
    local task = redis.call('HMGET', task_key(id), 'type', 'priority', 'seq', 'worker')
    leave(id, 'leased', task[1], task[2])
    redis.call('HINCRBY', meta, 'expiries', 1)
    local expiries = redis.call('HINCRBY', task_key(id), 'expiries', 1)
    if expiries >= max_expiries then
      local error = 'The lease ran out ' .. expiries .. ' times, last with worker ' .. (task[4] or '') .. '.'
      redis.call('HSET', task_key(id), 'error', error)
      die(id, task[1], task[2], now, 'lease', keep_ms, keep_count)
    else
      redis.call('HDEL', task_key(id), 'token', 'worker')
      enter(id, 'ready', task[1], task[2], task[3])
    end
  end
  return #over
end
