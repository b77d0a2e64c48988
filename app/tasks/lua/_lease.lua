--@include finish
-- Whether a call about a leased task counts. Replies: 0 it does; 1 no such task; 2 the lease is lost;
-- 3 the same call was answered before, and its answer stands; 4 a token is needed.

local function check_lease(id, token, op, need_token)
  local task = redis.call('HMGET', task_key(id), 'state', 'type', 'priority', 'token', 'last_token', 'last_op',
    'last_answer', 'last_bare', 'started')
  if not task[1] then return 1 end
  if token == '' then
    if need_token then return 4 end
    if task[1] == 'leased' then return 0, task end
    if task[6] == op and task[8] == '1' then return 3, task end
    return 2, task
  end
  if task[1] == 'leased' and task[4] == token then return 0, task end
  if task[5] == token and task[6] == op then return 3, task end
  return 2, task
end

-- Remember how the holder ended its lease.
local function note_end(id, task, op, answer, bare)
  redis.call('HSET', task_key(id), 'last_token', task[4], 'last_op', op, 'last_answer', answer,
    'last_bare', bare and '1' or '0')
end
