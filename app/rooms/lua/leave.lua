-- End the visits of some positions, whether they wait, have a turn or a session, and hand on what they held.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit, barred
-- ARGV: heal_ms, epoch, who, bar_ms, positions...
-- Returns: {0, barred_until_ms, seq, the positions that were in line, on turn or in a session…}, {-1} no such room,
--   {-2, wait_ms} healing, {-9, barred_until_ms} the line was started anew
--@include now
--@include session
--@include audit
--@include bars

-- With `bar_ms` above 0 the holders of these places, whether they are here or not, are kept from new ones for that long.
-- Returns until when the first is; each further one is a millisecond longer.
local function bar_holders(now)
  local bar_ms = tonumber(ARGV[4])
  if bar_ms == 0 then return 0 end
  local first = math.max(now + bar_ms, newest_bar(KEYS[11]) + 1)
  for i = 5, #ARGV do put_bar(KEYS[11], ARGV[2] .. '-' .. ARGV[i], first + i - 5) end
  trim_bars(KEYS[11], now)
  return first
end

local function is_here(state, member)
  if redis.call('ZSCORE', ROOM.done, member) or tonumber(member) > state.last then return false end
  for _, key in ipairs({ ROOM.sessions, ROOM.turns, ROOM.front, ROOM.passed }) do
    if redis.call('ZSCORE', key, member) then return true end
  end
  return state.counted == 0 or tonumber(member) > state.floor
end

-- Whoever is kept out stands in the log, also when the visit was over before.
local function note_act(now, ended)
  local bars = tonumber(ARGV[4]) > 0
  if bars or ended > 0 then write_audit(KEYS[10], now, ARGV[3], bars and 'revoke' or 'end', text(ended), 'null') end
end

local state, now = present_room(tonumber(ARGV[1]))
if not state then return { -1 } end
local ended, epoch = {}, tonumber(ARGV[2])
-- While it is not known who is here, what is said might be forgotten. Of an earlier line that is known: nobody is, but
-- the holders of its places may yet come with what they keep of them.
local refused = epoch < state.epoch and { -9, bar_holders(now) } or held_for(state, now, epoch)
if refused then
  if refused[1] == -9 then note_act(now, 0) end
  save_state(ROOM.state, state)
  return refused
end
local barred_until_ms = bar_holders(now)
for i = 5, #ARGV do
  if is_here(state, ARGV[i]) then
    -- Ended by an operator, or after entering, a visit was not given up.
    if ARGV[3] == '' and not redis.call('ZSCORE', ROOM.sessions, ARGV[i]) then state.abandoned = state.abandoned + 1 end
    end_visit(state, now, ARGV[i])
    ended[#ended + 1] = tonumber(ARGV[i])
  end
end
advance(state, now)
save_state(ROOM.state, state)
note_act(now, #ended)
return { 0, barred_until_ms, state.seq, unpack(ended) }
