-- Tell the room what a replica has seen of it; what the server has lost comes back, and nothing ever moves back.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: heal_ms, replica, live_replicas, epoch, last, edge, floor, run_ms, moved_run_ms, expires_run_ms, peak, settings_version, size, interval_ms, active_ms, counted, limits, settings, remember_ms, forgotten_ms, gaps, windows...
-- Returns: {0, 1 when the report brought something back else 0}, or {-1} when there is no such room
--@include now
--@include heal

local state = load_state(ROOM.state)
if not state then return { -1 } end
local now = now_ms()
notice_restart(state, now, tonumber(ARGV[1]))
local brought, lost = 0, false
local epoch, last, edge = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if tonumber(ARGV[12]) > state.settings_version then
  local present_epoch = state.epoch
  apply_settings(state, now, { ARGV[13], ARGV[14], ARGV[15], ARGV[16], ARGV[17], ARGV[18] })
  -- What comes back begins no new line, whatever edge an empty one would have had.
  state.settings_version, state.epoch = tonumber(ARGV[12]), present_epoch
  brought = 1
end
if epoch > state.epoch then
  start_anew(state, now)
  state.epoch, state.edge = epoch, 0
  brought = 1
end
if epoch == state.epoch then
  if last > state.last or edge > state.edge then brought = 1 end
  lost = brought == 1 or tonumber(ARGV[8]) > state.run_ms
  -- Of what the server has given out itself it knows best who belongs to nobody.
  for _, gap in ipairs(read_gaps(ARGV[21])) do
    if gap[2] > state.last then leave_out(state, math.max(gap[1], state.last), gap[2]) end
  end
  state.last = math.max(state.last, last)
  state.edge = math.max(state.edge, edge)
  state.floor = math.max(state.floor, tonumber(ARGV[7]))
  state.run_ms = math.max(state.run_ms, tonumber(ARGV[8]))
  state.moved_run_ms = math.max(state.moved_run_ms, tonumber(ARGV[9]))
  state.expires_run_ms = math.max(state.expires_run_ms, tonumber(ARGV[10]))
  state.peak = math.max(state.peak, tonumber(ARGV[11]))
  state.forgotten_ms = math.max(state.forgotten_ms, tonumber(ARGV[20]))
  for i = 22, #ARGV do
    local window_edge = tonumber(string.match(ARGV[i], '^(%d+):'))
    if window_edge > state.floor then redis.call('ZADD', ROOM.windows, window_edge, ARGV[i]) end
  end
end
state.remember_ms = math.max(state.remember_ms, tonumber(ARGV[19]))
if state.heal_until_ms > 0 then
  if lost then state.heal_lost = 1 end
  state.heal_expect = math.max(state.heal_expect, tonumber(ARGV[3]))
  if not string.find(state.heal_by, ',' .. ARGV[2] .. ',', 1, true) then
    state.heal_by = state.heal_by .. ARGV[2] .. ','
  end
end
if lost and state.heal_until_ms == 0 then take_up_again(state) end -- too late for the healing
if brought == 1 then state.version = state.version + 1 end
save_state(ROOM.state, state)
return { 0, brought }
