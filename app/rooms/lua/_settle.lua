-- Put settings in force in a room that may be running.
--@include advance

-- A turn for everyone behind the edge who has none recorded and whose time is not over; at most this many.
local MOST_TURNS = 100000

-- Write turns one by one for positions whose turn may be open: when counting begins, and after a loss. When exactly the
-- turns end of those who joined behind the edge, only their tickets know: not after `least_until_run_ms`.
local function fill_turns(state, least_until_run_ms)
  local untils, gaps = {}, read_gaps(state.gaps)
  for _, window in ipairs(redis.call('ZRANGE', ROOM.windows, 0, -1)) do
    local edge, until_run_ms = string.match(window, '^(%d+):(%d+)$')
    untils[#untils + 1] = { tonumber(edge), tonumber(until_run_ms) }
  end
  untils[#untils + 1] = { state.last, least_until_run_ms }
  local to = math.min(state.edge, state.last)
  local position = past_gaps(gaps, math.max(state.floor, to - MOST_TURNS) + 1)
  for _, window in ipairs(untils) do
    local until_run_ms = math.max(window[2], least_until_run_ms)
    while position <= math.min(window[1], to) do
      local member = text(position)
      local known = false
      for _, key in ipairs({ ROOM.turns, ROOM.sessions, ROOM.done, ROOM.front, ROOM.passed }) do
        known = known or redis.call('ZSCORE', key, member)
      end
      if not known then redis.call('ZADD', ROOM.turns, text(until_run_ms), member) end
      position = past_gaps(gaps, position + 1)
    end
  end
end

-- Nobody was asked to show themselves so far, or what they showed was lost: all who wait count as just seen.
local TOLD_AT_MOST_MS = 60000
local function presume_present(state)
  local limits = limits_of(state)
  if not limits.passOverMs then return end
  local present_until = text(state.run_ms + TOLD_AT_MOST_MS + limits.passOverMs)
  local gaps, to = read_gaps(state.gaps), math.min(state.last, state.edge + MOST_TURNS)
  local position = past_gaps(gaps, state.edge + 1)
  while position <= to do
    redis.call('ZADD', ROOM.seen, 'GT', present_until, text(position))
    position = past_gaps(gaps, position + 1)
  end
end

-- In a room that admits one by one the edge is never ahead of the joiners: places promised there belong to nobody.
local function edge_back_to_joiners(state)
  if state.edge <= state.last then return end
  leave_out(state, state.last, state.edge)
  state.gap_total = state.gap_total + state.edge - state.last
  state.last = state.edge
end

local function start_edge(state)
  if state.counted == 1 or state.opened == 0 then return 0 end
  return state.size
end

-- An allowance keeps its fullness when the rate changes, and starts full when there was none.
local function keep_allowance(state, old, new)
  if not new.ratePerMinute then return end
  local filled = new.rateBurst
  if old.ratePerMinute then
    local since_us = math.max(0, state.run_ms * 1000 - state.rate_empty_us)
    filled = math.min(filled, old.rateBurst, since_us * old.ratePerMinute / 60000000)
  end
  state.rate_empty_us = whole_us(state.run_ms * 1000 - filled * 60000000 / new.ratePerMinute)
end

-- `values`: size, interval_ms, active_ms, counted, limits, settings.
local function apply_settings(state, now, values)
  local old, was_counted = limits_of(state), state.counted
  redis.call('HSET', ROOM.state, 'settings', values[6])
  state.size, state.interval_ms, state.active_ms = tonumber(values[1]), tonumber(values[2]), tonumber(values[3])
  state.counted, state.limits = tonumber(values[4]), values[5]
  local new = limits_of(state)
  state.opened = (new.opensAtMs or 0) > now and 0 or 1
  state.batch_left = math.min(state.batch_left, state.size)
  keep_allowance(state, old, new)
  if state.last == 0 then
    -- Nobody is here yet. A start further back than the present one is a new beginning, for an edge never moves back.
    if start_edge(state) < state.edge and state.heal_until_ms == 0 then state.epoch = state.epoch + 1 end
    state.edge = start_edge(state)
    state.batch_left = state.size
  else
    if state.counted == 1 or state.opened == 0 then edge_back_to_joiners(state) end
    if state.counted == 1 and was_counted == 0 and state.run_ms < state.expires_run_ms + kept_ms(state) then
      fill_turns(state, state.expires_run_ms)
    end
    if not old.passOverMs then presume_present(state) end
    if not new.passOverMs then redis.call('DEL', ROOM.seen) end
    if state.counted == 0 and was_counted == 1 then
      let_in(state, new, now, redis.call('ZCARD', ROOM.front))
    end
  end
  state.settings_version = state.settings_version + 1
  state.version = state.version + 1
end

-- A new line: everything of the old one is forgotten, and its tickets are of an earlier epoch.
local function start_anew(state, now)
  state.epoch = state.epoch + 1
  state.last, state.floor, state.expires_run_ms, state.forgotten_ms, state.gaps = 0, 0, 0, 0, ''
  state.opened = (limits_of(state).opensAtMs or 0) > now and 0 or 1
  state.edge = start_edge(state)
  state.batch_left = state.size
  state.moved_run_ms = state.run_ms
  redis.call('DEL', ROOM.windows, ROOM.turns, ROOM.sessions, ROOM.log, ROOM.done, ROOM.front, ROOM.passed, ROOM.seen)
  state.seq = math.max(state.seq + 1, now * 1000)
end
