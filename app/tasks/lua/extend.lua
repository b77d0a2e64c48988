-- A heartbeat: the lease runs anew from now.
-- KEYS: meta
-- ARGV: id, token, need_token, lease_ms
-- Returns: {status as in _lease.lua, lease_until_ms}
--@include lease
local id = ARGV[1]
local status = check_lease(id, ARGV[2], 'extend', ARGV[3] == '1')
if status ~= 0 then return { status, 0 } end
local lease_ms = tonumber(ARGV[4])
local own_ms = tonumber(redis.call('HGET', task_key(id), 'lease_ms') or 0)
if own_ms > 0 then lease_ms = own_ms end
local ends = now_ms() + lease_ms
redis.call('ZADD', base .. 'leased', 'XX', ends, id)
return { 0, ends }
