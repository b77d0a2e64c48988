-- Takes tasks in: each once, whatever is repeated (same id, or same idempotency key).
-- KEYS: meta
-- ARGV: remember_ms, entries...
-- Returns: {0, {pending, processing, completed, failed}, {{id, 1 new or 0 known}, ...}}
--@include stats
--@include put
local now = now_ms()
local answers = {}
-- Nine for each task: id, type, payload, priority, execute_at ms, delay ms, max_retries, lease_ms, idempotency hash.
for i = 2, #ARGV, 9 do
  local id = ARGV[i]
  local known = redis.call('EXISTS', task_key(id)) == 1 and id or nil
  if not known and ARGV[i + 8] ~= '' then
    local key = base .. 'idem:' .. ARGV[i + 8]
    if not redis.call('SET', key, id, 'NX', 'PX', ARGV[1]) then
      known = redis.call('GET', key)
    end
  end
  if not known then
    local due = math.max(tonumber(ARGV[i + 4]), now + tonumber(ARGV[i + 5]))
    put(id, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], due, ARGV[i + 6], ARGV[i + 7], now)
  end
  answers[#answers + 1] = { known or id, known and 0 or 1 }
end
return { 0, stats(), answers }
