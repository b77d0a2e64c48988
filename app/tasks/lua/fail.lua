-- Ends a lease with failure: another try after a delay, or the dead letters.
-- KEYS: meta
-- ARGV: id, token, need_token, error, final, delay_ms, keep_dead_ms, keep_dead_count, delays_ms...
-- Returns: {status as in _lease.lua, {pending or dead, retries, max_retries, due_ms}, type, run_ms}
--@include lease
local id, token = ARGV[1], ARGV[2]
local status, task = check_lease(id, token, 'fail', ARGV[3] == '1')
if status == 3 then return { status, cjson.decode(task[7]), '', 0 } end
if status ~= 0 then return { status, {}, '', 0 } end
local now, key, type, priority = now_ms(), task_key(id), task[2], task[3]
leave(id, 'leased', type, priority)
local retries = redis.call('HINCRBY', key, 'retries', 1)
local max_retries = tonumber(redis.call('HGET', key, 'max_retries'))
redis.call('HSET', key, 'error', ARGV[4])
redis.call('HINCRBY', meta, 'failures', 1)
local answer
if ARGV[5] == '1' or retries >= max_retries then
  answer = { 'dead', retries, max_retries, 0 }
  note_end(id, task, 'fail', cjson.encode(answer), token == '')
  die(id, type, priority, now, 'failed', tonumber(ARGV[7]), tonumber(ARGV[8]))
else
  local delay = tonumber(ARGV[6])
  if delay < 0 then delay = tonumber(ARGV[math.min(8 + retries, #ARGV)]) end
  local due = now + delay
  answer = { 'pending', retries, max_retries, due }
  note_end(id, task, 'fail', cjson.encode(answer), token == '')
  redis.call('HDEL', key, 'token', 'worker')
  redis.call('HSET', key, 'due', due)
  if delay > 0 then
    enter(id, 'delayed', type, priority, due)
  else
    line_up(id, type, priority)
  end
end
return { status, answer, type, now - tonumber(task[9] or now) }
