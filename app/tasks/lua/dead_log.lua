-- Gives the one replica that writes the log the next dead letters, and drops those it has written.
-- KEYS: meta
-- ARGV: replica, written, bound
-- Returns: {0, {{id, fields, when}, ...}, of how many ids}, or {1} when another replica writes
--@include queue
local writer = base .. 'logger'
local holder = redis.call('GET', writer)
if holder and holder ~= ARGV[1] then return { 1, {}, 0 } end
if redis.call('EXISTS', base .. 'deathlog') == 0 then return { 0, {}, 0 } end
-- A writer that has lost its place may have written what another has yet to: it starts anew.
if holder and tonumber(ARGV[2]) > 0 then redis.call('LTRIM', base .. 'deathlog', ARGV[2], -1) end
redis.call('SET', writer, ARGV[1], 'PX', 5000)
local ids = redis.call('LRANGE', base .. 'deathlog', 0, tonumber(ARGV[3]) - 1)
local letters = {}
for _, id in ipairs(ids) do letters[#letters + 1] = view(id) end
return { 0, letters, #ids }
