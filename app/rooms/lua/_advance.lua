-- Count the running time and move the edge when it is due. The mirror of app/rooms/window.py.
--@include state

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

-- A line that nobody has joined takes a new batch size at once; a smaller one begins a new epoch, for an edge
-- never moves back within one.
local function resize_empty_line(state)
  if state.last > 0 then return end
  if state.size < state.edge then state.epoch = state.epoch + 1 end
  state.edge = state.size
end

local function add_window(windows_key, state)
  local until_run_ms = state.run_ms + state.active_ms
  redis.call('ZADD', windows_key, state.edge, string.format('%.0f:%.0f', state.edge, until_run_ms))
  state.expires_run_ms = math.max(state.expires_run_ms, until_run_ms)
end

-- Forget windows whose time is over, from the oldest on; the floor remembers them.
local function drop_ended_windows(windows_key, state)
  while true do
    local first = redis.call('ZRANGE', windows_key, 0, 0)[1]
    if not first then return end
    local edge, until_run_ms = string.match(first, '^(%d+):(%d+)$')
    if tonumber(until_run_ms) > state.run_ms then return end
    state.floor = math.max(state.floor, tonumber(edge))
    redis.call('ZREM', windows_key, first)
  end
end

local function advance(windows_key, state, now)
  local elapsed_ms = math.max(0, now - state.ticked_at_ms)
  -- A quiet room has nobody whose time could run out, so it need not be ticked and its gaps are no outages.
  local quiet = state.last <= state.edge and state.run_ms >= state.expires_run_ms
  if state.paused == 1 or state.heal_until_ms > 0 or (elapsed_ms > OUTAGE_MS and not quiet) then elapsed_ms = 0 end
  state.run_ms = state.run_ms + elapsed_ms
  state.ticked_at_ms = now
  local due = state.run_ms - state.moved_run_ms >= state.interval_ms
  if due and state.last > state.edge and state.paused == 0 and state.heal_until_ms == 0 then
    state.edge = moved_edge(state.edge, state.size, read_gaps(state.gaps))
    state.moved_run_ms = state.run_ms
    state.version = state.version + 1
    add_window(windows_key, state)
    local kept = {}
    for _, gap in ipairs(read_gaps(state.gaps)) do
      if gap[2] > state.edge then kept[#kept + 1] = gap end
    end
    state.gaps = write_gaps(kept)
  end
  drop_ended_windows(windows_key, state)
end
