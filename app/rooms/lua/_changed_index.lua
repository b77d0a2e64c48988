-- The list of rooms has a version, under a name that no room can have.
local function changed_index(key, version)
  redis.call('HSET', key, '#', string.format('%.0f', version + 1))
  return version + 1
end
