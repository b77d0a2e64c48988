-- Takes tasks in: each once, whatever is repeated (same id, or same idempotency key).
-- KEYS: meta
-- ARGV: remember_ms, entries...
-- Returns: {0, {pending, processing, completed, failed}, {{id, 1 new or 0 known}, ...}}
--@include stats
local now = now_ms()
local answers = {}
-- Nine for each task: id, type, payload, priority, execute_at ms, delay ms, max_retries, lease_ms, idempotency hash.
for i = 2, #ARGV, 9 do
  local id, type, payload, priority = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local due = math.max(tonumber(ARGV[i + 4]), now + tonumber(ARGV[i + 5]))
  local known = redis.call('EXISTS', task_key(id)) == 1 and id or nil
  if not known and ARGV[i + 8] ~= '' then
    local key = base .. 'idem:' .. ARGV[i + 8]
    if not redis.call('SET', key, id, 'NX', 'PX', ARGV[1]) then
      known = redis.call('GET', key)
    end
  end
  if known then
    answers[#answers + 1] = { known, 0 }
  else
    local seq = next_seq()
    local number = redis.call('HINCRBY', meta, 'enqueued', 1)
    redis.call('HSET', task_key(id), 'type', type, 'payload', payload, 'priority', priority, 'number', number,
      'seq', seq, 'created', now, 'due', due, 'retries', 0, 'max_retries', ARGV[i + 6], 'expiries', 0,
      'attempts', 0, 'lease_ms', ARGV[i + 7])
    if due > now then
      enter(id, 'delayed', type, priority, due)
    else
      enter(id, 'ready', type, priority, seq)
    end
    answers[#answers + 1] = { id, 1 }
  end
end
return { 0, stats(), answers }
