-- Count the running time and give the turns that are due. The mirror of app/rooms/window.py.
--@include admit

-- Nobody looked at the room for longer than this: an outage, which must cost nobody their time.
local OUTAGE_MS = 2000

-- Where the edge stands after letting `size` places in; what healing left out is passed for free.
local function moved_edge(edge, size, gaps)
  local left = size
  for _, gap in ipairs(gaps) do
    local after, to = gap[1], gap[2]
    if to > edge then
      local step = math.max(0, after - edge)
      if step > left then break end
      edge = to
      left = left - step
    end
  end
  return edge + left
end

-- Forget windows whose time is over, from the oldest on; the floor remembers them.
local function drop_ended_windows(state)
  local floor = state.floor
  while true do
    local first = redis.call('ZRANGE', ROOM.windows, 0, 0)[1]
    if not first then break end
    local edge, until_run_ms = string.match(first, '^(%d+):(%d+)$')
    if tonumber(until_run_ms) + kept_ms(state) > state.run_ms then break end
    state.floor = math.max(state.floor, tonumber(edge))
    redis.call('ZREM', ROOM.windows, first)
  end
  if state.floor > floor then drop_past_gaps(state) end
end

local function count_time(state, now)
  local elapsed_ms = math.max(0, now - state.ticked_at_ms)
  -- A quiet room need not be ticked, so its gaps are no outages.
  if state.paused == 1 or state.heal_until_ms > 0 or (elapsed_ms > OUTAGE_MS and not is_quiet(state)) then elapsed_ms = 0 end
  state.run_ms = state.run_ms + elapsed_ms
  state.ticked_at_ms = now
end

-- Let a batch of `size` places in at once.
local function move_edge(state, size)
  state.edge = moved_edge(state.edge, size, read_gaps(state.gaps))
  state.version = state.version + 1
  add_window(state, state.run_ms + state.active_ms)
end

-- At its time a room opens with a whole batch: for those who came before, or for the first to come.
local function open_in_time(state, now)
  if state.opened == 1 or state.heal_until_ms > 0 or state.paused == 1 then return end
  if now < (limits_of(state).opensAtMs or 0) then return end
  state.opened = 1
  state.version = state.version + 1
  state.batch_left = state.size
  state.moved_run_ms = state.run_ms
  if state.counted == 1 then return end
  if state.last > 0 then
    state.moved_run_ms = state.run_ms - state.interval_ms
  else
    state.edge = state.size
  end
end

local function advance(state, now)
  count_time(state, now)
  open_in_time(state, now)
  end_sessions(state, now)
  if state.heal_until_ms == 0 then end_turns(state) end -- until then it is not known whose turns there were
  if state.paused == 0 and state.heal_until_ms == 0 and state.opened == 1 then
    if state.counted == 1 then
      admit(state, limits_of(state), now)
    elseif state.run_ms - state.moved_run_ms >= state.interval_ms and state.last > state.edge then
      state.moved_run_ms = state.run_ms
      move_edge(state, state.size)
    end
  end
  drop_ended_windows(state)
  forget_done(state, now)
  if state.draining == 1 and state.last <= state.edge and redis.call('ZCARD', ROOM.front) == 0 then
    state.draining = 0
    state.version = state.version + 1
  end
end
