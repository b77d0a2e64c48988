--@include queue
-- The one way into a queue.

local function put(id, type, payload, priority, due, max_retries, lease_ms, now)
  local seq = next_seq()
  redis.call('HSET', task_key(id), 'type', type, 'payload', payload, 'priority', priority,
    'number', redis.call('HINCRBY', meta, 'enqueued', 1), 'seq', seq, 'created', now, 'due', due, 'retries', 0,
    'max_retries', max_retries, 'expiries', 0, 'attempts', 0, 'lease_ms', lease_ms)
  if due > now then
    enter(id, 'delayed', type, priority, due)
  else
    enter(id, 'ready', type, priority, seq)
  end
end
