-- What a replica keeps of a room: the state's numbers, its gaps, and what is new in its windows and visits.
--@include settle

local SNAPSHOT_NUMBERS = {
  'epoch', 'version', 'last', 'edge', 'floor', 'run_ms', 'ticked_at_ms', 'moved_run_ms', 'expires_run_ms', 'paused',
  'closed', 'size', 'interval_ms', 'active_ms', 'settings_version', 'heal_until_ms', 'heal_from_ms', 'heals',
  'gap_total', 'peak', 'counted', 'opened', 'draining', 'seq', 'admitted',
  'remember_ms', 'forgotten_ms',
}
-- Visits are handed over in pages; the next look goes on where this one ended.
local PAGE = 1500

-- "position:sequence:kind" of the log since `known`: in a session, passed over until, back at the front, a turn until.
local function add_visits(reply, known)
  local page = redis.call('ZRANGEBYSCORE', ROOM.log, '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  reply[#reply + 1] = #page / 2
  if #page == 0 then return end
  local members = {}
  for i = 1, #page, 2 do members[#members + 1] = page[i] end
  local in_session = redis.call('ZMSCORE', ROOM.sessions, unpack(members))
  local passed = redis.call('ZMSCORE', ROOM.passed, unpack(members))
  local back = redis.call('ZMSCORE', ROOM.front, unpack(members))
  local turn = redis.call('ZMSCORE', ROOM.turns, unpack(members))
  for i, member in ipairs(members) do
    local kind = 'x:0'
    if in_session[i] then
      kind = 'e:0'
    elseif passed[i] then
      kind = 'p:' .. passed[i]
    elseif back[i] then
      kind = 'w:0'
    elseif turn[i] then
      kind = 't:' .. turn[i]
    end
    reply[#reply + 1] = member .. ':' .. text(tonumber(page[2 * i])) .. ':' .. kind
  end
end

local function add_done(reply, known)
  local page = redis.call('ZRANGEBYSCORE', ROOM.done, '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  reply[#reply + 1] = #page / 2
  for i = 1, #page, 2 do reply[#reply + 1] = page[i] .. ':' .. text(tonumber(page[i + 1])) .. ':x:0' end
end

-- "place:until" of the bars that end later than `known`.
local function add_bars(reply, key, known)
  local page = redis.call('ZRANGEBYSCORE', key, '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  reply[#reply + 1] = #page / 2
  for i = 1, #page, 2 do reply[#reply + 1] = page[i] .. ':' .. text(tonumber(page[i + 1])) end
end

-- `known`: the settings version, the last window's edge, and the cursors of the log, the visits and the bars.
local function snapshot(state, now, known, barred_key)
  local reply = { 0, now }
  for _, name in ipairs(SNAPSHOT_NUMBERS) do reply[#reply + 1] = state[name] end
  reply[#reply + 1] = redis.call('ZCARD', ROOM.turns)
  reply[#reply + 1] = redis.call('ZCARD', ROOM.sessions)
  reply[#reply + 1] = redis.call('ZCARD', ROOM.front)
  reply[#reply + 1] = state.counted == 1 and due_at(state, limits_of(state), now) or 0
  reply[#reply + 1] = state.gaps
  reply[#reply + 1] = state.settings_version ~= tonumber(known[1]) and redis.call('HGET', ROOM.state, 'settings') or ''
  add_visits(reply, known[3])
  add_done(reply, known[4])
  add_bars(reply, barred_key, known[5])
  for _, window in ipairs(redis.call('ZRANGEBYSCORE', ROOM.windows, '(' .. known[2], '+inf')) do
    reply[#reply + 1] = window
  end
  return reply
end
