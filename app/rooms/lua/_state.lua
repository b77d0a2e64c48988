-- A room's state: one hash, whose numbers are loaded, changed as a table and written back together.
--
--   epoch              starts at 1, one more with every reset; tickets of other epochs do not count
--   last               the last position given out in this epoch
--   edge               the last position whose turn has come
--   floor              positions up to here have had their turn and their time is over
--   run_ms             the room's running time: stands still while it is paused, or nobody could reach it
--   ticked_at_ms       server time up to which run_ms is counted
--   moved_run_ms       running time of the edge's last move
--   expires_run_ms     running time at which the last open turn ends
--   paused, closed     1 while the operator says so
--   size, interval_ms, active_ms
--                      the settings that scripts need, taken out of `settings`
--   version            one more with every change a visitor could see
--   settings_version   one more with every change of settings
--   heal_until_ms      0, or the server time until which joins are held at least
--   heal_from_ms       server time at which the healing began
--   heal_expect        how many replicas should report, as far as any reporter knows
--   heal_lost          1 when a report in this healing has shown that the server lost something
--   heals              how often the room has healed
--   gap_total          positions left out by healing, in all
--   peak               most joins seen in one bucket
--   bucket_at_ms, bucket_n
--                      the bucket being counted
--   counted            1 when turns are counted one by one: with a rate, maxActive, passing over, or no line at all
--   opened             0 until the time in the settings has come
--   draining           1 while the line is served for the last time
--   seq                the last sequence number of log and done: about the server's time in µs, and always rising
--   admitted           how many turns were given one by one, in all
--   abandoned          turns let run out, places passed over and places given up, in all, where that is known
--   batch_left         counted rooms with batches: how many places of the present batch are left
--   rate_empty_us      rooms with a rate: the running time, in µs, since which the allowance has been filling
--   remember_ms        the longest time that any pass was given, counted from its signing
--   forgotten_ms       0, or the server time up to which visits that had ended have been forgotten too early
-- and these texts, read where they are needed:
--   run_id             the server process that the state was last written under
--   gaps               "after:to,…", in their order: positions after+1..to were left out and belong to nobody; kept
--                      until their turn would be over
--   heal_by            ",id,id,": replicas that have reported in this healing
--   limits             what scripts need of the other settings, as JSON; see RoomSettings.limits
--   settings           the room's settings as JSON
--   seed               digest of the declared settings that were applied last
local FIELDS = {
  'epoch', 'last', 'edge', 'floor', 'run_ms', 'ticked_at_ms', 'moved_run_ms', 'expires_run_ms', 'paused', 'closed',
  'size', 'interval_ms', 'active_ms', 'version', 'settings_version', 'heal_until_ms', 'heal_from_ms', 'heal_expect',
  'heals', 'gap_total', 'peak', 'bucket_at_ms', 'bucket_n', 'counted', 'opened', 'draining', 'seq', 'admitted',
  'batch_left', 'rate_empty_us', 'abandoned', 'remember_ms', 'forgotten_ms', 'heal_lost',
  'run_id', 'gaps', 'heal_by', 'limits',
}
local NUMBERS = #FIELDS - 4 -- the last four are texts

local function text(number) return string.format('%.0f', number) end

local function load_state(key)
  local values = redis.call('HMGET', key, unpack(FIELDS))
  if not values[1] then return nil end
  local state = {}
  for i = 1, #FIELDS do
    local value = values[i] or ''
    if i <= NUMBERS then
      value = tonumber(values[i] or 0)
      -- A zero in its place would begin the line again. Infinity is a number to Lua, but not when taken from itself.
      if not value or value - value ~= 0 then error('the field ' .. FIELDS[i] .. ' of ' .. key .. ' is no number') end
    end
    state[FIELDS[i]] = value
    values[i] = value
  end
  state.stored = values
  return state
end

-- Positions and times stay far below 2^53; %.0f keeps Lua from writing large ones as 1e+15.
local function save_state(key, state)
  local stored, changes, n = state.stored, {}, 0
  for i = 1, #FIELDS do
    local name = FIELDS[i]
    local value = state[name]
    if value ~= stored[i] then
      changes[n + 1] = name
      changes[n + 2] = i <= NUMBERS and text(value) or value
      n = n + 2
    end
  end
  if n > 0 then redis.call('HSET', key, unpack(changes)) end
end

-- The settings beyond the batches; decoded only where a script needs them, and once.
local function limits_of(state)
  if state.limits == '' then return {} end
  if state.decoded_from ~= state.limits then
    state.decoded, state.decoded_from = cjson.decode(state.limits), state.limits
  end
  return state.decoded
end

local function read_gaps(listed)
  local gaps = {}
  for after, to in string.gmatch(listed, '(%d+):(%d+)') do
    gaps[#gaps + 1] = { tonumber(after), tonumber(to) }
  end
  return gaps
end

-- Positions after+1..to belong to nobody; they lie behind every other gap.
local function leave_out(state, after, to)
  local before, newest = string.match(state.gaps, '^(.*:)(%d+)$')
  if newest and tonumber(newest) == after then
    state.gaps = before .. text(to)
  else
    state.gaps = (before and state.gaps .. ',' or '') .. text(after) .. ':' .. text(to)
  end
end

-- Forget the gaps that the floor has passed: of the others it must be known that nobody in them has a turn.
local function drop_past_gaps(state)
  local kept = {}
  for _, gap in ipairs(read_gaps(state.gaps)) do
    if gap[2] > state.floor then kept[#kept + 1] = text(gap[1]) .. ':' .. text(gap[2]) end
  end
  state.gaps = table.concat(kept, ',')
end

-- The first position from `position` on that was not left out.
local function past_gaps(gaps, position)
  for _, gap in ipairs(gaps) do
    if position > gap[1] and position <= gap[2] then position = gap[2] + 1 end
  end
  return position
end

local function waiting_in(state)
  local waiting = math.max(0, state.last - state.edge)
  if state.gaps == '' then return waiting end
  for _, gap in ipairs(read_gaps(state.gaps)) do
    waiting = waiting - math.max(0, math.min(gap[2], state.last) - math.max(gap[1], state.edge))
  end
  return math.max(0, waiting)
end
