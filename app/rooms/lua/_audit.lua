-- The log of what operators did: newest first, the last thousand entries, kept for a year after the last of them.
local AUDIT_ENTRIES = 1000
local AUDIT_TTL_S = 31536000

-- `who` is plain text; `before` and `after` are JSON. An act of several steps is one entry: `continues`, the one that the
-- step before has written, gives way unless something else was written since. Returns the entry, '' when there is none.
local function write_audit(key, now, who, action, before, after, continues)
  if who == '' then return '' end
  if continues and continues ~= '' and redis.call('LINDEX', key, 0) == continues then
    redis.call('LPOP', key)
    before = string.match(continues, '"before":(%b{})')
  end
  local entry = string.format('{"at":%.0f,"who":%s,"action":%s,"before":%s,"after":%s}', now, cjson.encode(who),
    cjson.encode(action), before, after)
  redis.call('LPUSH', key, entry)
  redis.call('LTRIM', key, 0, AUDIT_ENTRIES - 1)
  redis.call('EXPIRE', key, AUDIT_TTL_S)
  return entry
end
