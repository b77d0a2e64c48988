-- One task as it is now.
-- KEYS: meta
-- ARGV: id
-- Returns: {0, {id, fields, when}}, or {1} when there is no such task
--@include queue
local id = ARGV[1]
local state = redis.call('HGET', task_key(id), 'state')
if not state then return { 1 } end
local when = (state == 'leased' or state == 'delayed') and redis.call('ZSCORE', base .. state, id)
return { 0, view(id, when) }
