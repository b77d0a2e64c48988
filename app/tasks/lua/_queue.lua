--@include now
-- Where a queue keeps its tasks, and the only ways in and out of each place.
--
-- KEYS[1] is always the queue's meta hash; every other key of the queue has the same tag and is named from it.
-- A task (hash `t:ID`) has: type, payload (JSON), priority (0 high, 1 normal, 2 low), state, number (how many came
-- before, plus one), seq (its place among the ready), created, due, retries (failures), max_retries, expiries
-- (leases that ran out), attempts (times handed out), lease_ms (0: as asked), token, worker, started, finished, result
-- (JSON), error, reason (why it died), size, and last_token, last_op, last_answer, last_bare of the last lease that
-- was ended by its holder, so that the same call again gets the same answer.
-- Its state names the one sorted set that holds its id: ready (one for each priority and type), delayed, leased,
-- done, dead. `heads:P` orders a priority's types by their first ready task.
local meta = KEYS[1]
local base = string.sub(meta, 1, -5)
local depth = base .. 'depth'
local prefix, queue = string.match(meta, '^(.-){tasks:([^}]*)}:meta$')

local VIEW = {
  'type', 'payload', 'state', 'priority', 'number', 'created', 'due', 'retries', 'max_retries', 'expiries',
  'attempts', 'token', 'worker', 'started', 'finished', 'result', 'error', 'reason',
}

local function task_key(id)
  return base .. 't:' .. id
end

local function ready_key(priority, type)
  return base .. 'ready:' .. priority .. ':' .. type
end

local function next_seq()
  return redis.call('HINCRBY', meta, 'seq', 1)
end

local function count(state, type, by)
  if state == 'ready' then
    redis.call('HINCRBY', meta, 'ready', by)
  elseif redis.call('HINCRBY', depth, state .. ':' .. type, by) <= 0 then
    redis.call('HDEL', depth, state .. ':' .. type)
  end
end

-- Tell the replicas that have a claim waiting for this type, if any has said so since the last time.
local function wake(type)
  if redis.call('HDEL', base .. 'armed', '*', '=' .. type) > 0 then
    redis.call('PUBLISH', prefix .. 'tasks:wake', queue)
  end
end

-- After the first ready task of a type has gone: note the one that is first now.
local function renew_head(priority, type)
  local first = redis.call('ZRANGE', ready_key(priority, type), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', base .. 'heads:' .. priority, first[2], type)
  else
    redis.call('ZREM', base .. 'heads:' .. priority, type)
  end
end

local function leave(id, state, type, priority)
  if state == 'ready' then
    redis.call('ZREM', ready_key(priority, type), id)
    renew_head(priority, type)
  else
    redis.call('ZREM', base .. state, id)
  end
  count(state, type, -1)
end

-- `score` is the place among the ready, or the ms that orders the other places.
local function enter(id, state, type, priority, score)
  redis.call('HSET', task_key(id), 'state', state)
  count(state, type, 1)
  if state == 'ready' then
    redis.call('ZADD', ready_key(priority, type), score, id)
    redis.call('ZADD', base .. 'heads:' .. priority, 'LT', score, type)
    wake(type)
  else
    redis.call('ZADD', base .. state, score, id)
  end
end

-- To the end of its line.
local function line_up(id, type, priority)
  local seq = next_seq()
  redis.call('HSET', task_key(id), 'seq', seq)
  enter(id, 'ready', type, priority, seq)
end

-- A task as programs see it; `when` is what orders it in its place: the end of its lease, the ms it is due.
local function view(id, when)
  local fields = redis.call('HMGET', task_key(id), unpack(VIEW))
  return { id, fields, when or false }
end
