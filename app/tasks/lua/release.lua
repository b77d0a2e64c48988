-- Gives leased tasks back to the front of their lines, as if they had never been handed out.
-- KEYS: meta
-- ARGV: need_token, entries...
-- Returns: {0, {status, ...}}, each as in _lease.lua
--@include lease
local answers = {}
-- Two for each task: id, token (empty: none given).
for i = 2, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local status, task = check_lease(id, token, 'release', ARGV[1] == '1')
  if status == 0 then
    leave(id, 'leased', task[2], task[3])
    note_end(id, task, 'release', '', token == '')
    redis.call('HDEL', task_key(id), 'token', 'worker', 'started')
    redis.call('HINCRBY', task_key(id), 'attempts', -1)
    enter(id, 'ready', task[2], task[3], redis.call('HGET', task_key(id), 'seq'))
  end
  answers[#answers + 1] = status
end
return { 0, answers }
