-- The log of what operators did: newest first, the last thousand entries, kept for a year after the last of them.
local AUDIT_ENTRIES = 1000
local AUDIT_TTL_S = 31536000

-- `who` is plain text; `before` and `after` are JSON.
local function write_audit(key, now, who, action, before, after)
  if who == '' then return end
  local entry = string.format('{"at":%.0f,"who":%s,"action":%s,"before":%s,"after":%s}', now, cjson.encode(who),
    cjson.encode(action), before, after)
  redis.call('LPUSH', key, entry)
  redis.call('LTRIM', key, 0, AUDIT_ENTRIES - 1)
  redis.call('EXPIRE', key, AUDIT_TTL_S)
end
