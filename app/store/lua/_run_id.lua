-- The run id of this server process: it changes with every restart and failover, so state that was
-- written under another one may miss its last writes. Empty where the server does not tell.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  if type(info) ~= 'string' then return '' end
  return string.match(info, 'run_id:(%x+)') or ''
end
