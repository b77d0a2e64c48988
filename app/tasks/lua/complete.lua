-- Ends leases with success; each entry is judged on its own.
-- KEYS: meta
-- ARGV: need_token, keep_ms, keep_count, keep_bytes, entries...
-- Returns: {0, {{status, type, run_ms}, ...}}, each status as in _lease.lua; type and run time of what was ended now
--@include lease
local now = now_ms()
local need_token, keep_ms, keep_count, keep_bytes = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answers = {}
-- Three for each task: id, token (empty: none given), result as JSON.
for i = 5, #ARGV, 3 do
  local id, token, result = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local status, task = check_lease(id, token, 'complete', need_token)
  if status == 0 then
    local key, type, priority = task_key(id), task[2], task[3]
    leave(id, 'leased', type, priority)
    note_end(id, task, 'complete', '', token == '')
    local size = 500 + redis.call('HSTRLEN', key, 'payload') + #result
    redis.call('HSET', key, 'result', result, 'finished', now, 'size', size)
    redis.call('HDEL', key, 'token', 'error')
    enter(id, 'done', type, priority, now)
    redis.call('HINCRBY', meta, 'completed', 1)
    redis.call('HINCRBY', meta, 'done_bytes', size)
  end
  answers[#answers + 1] = { status, status == 0 and task[2] or '', status == 0 and now - tonumber(task[9] or now) or 0 }
end
-- Two a task, so that what is kept shrinks to its limits however fast tasks are finished.
trim('done', now, keep_ms, keep_count, keep_bytes, 2 * #answers)
return { 0, answers }
