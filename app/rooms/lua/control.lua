-- Carry out an operator's verb on a room; doing it twice is the same as once, but for reset and admit.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen, audit
-- ARGV: verb, expected_epoch, who, count, continues
-- Returns: {0, epoch, let in, 1 when more could be let in, audit entry}, {-1} no such room, {-2, wait_ms} healing, {-4, epoch} when the epoch is not the expected one (0 expects any)
--@include now
--@include heal
--@include audit

local function described(state)
  local gate = state.closed == 1 and (state.draining == 1 and 'draining' or 'closed') or 'open'
  return string.format('{"epoch":%.0f,"paused":%s,"gate":"%s","edge":%.0f,"last":%.0f}', state.epoch,
    state.paused == 1 and 'true' or 'false', gate, state.edge, state.last)
end

-- The next `count` at once, whatever the pace; maxActive still holds. One step of it: positions that nobody comes to are
-- looked at as well, and no more than a few thousand at once.
local function admit_now(state, now, count)
  local limits = limits_of(state)
  if state.counted == 1 then
    return let_in(state, limits, now, math.min(count, math.max(0, free_slots(limits))))
  end
  local before = waiting_in(state)
  local size = math.min(count, before)
  if size > 0 then move_edge(state, size) end
  return before - waiting_in(state)
end

local function more_could_come(state)
  if state.counted == 0 then return waiting_in(state) > 0 end
  return free_slots(limits_of(state)) > 0 and (state.last > state.edge or redis.call('ZCARD', ROOM.front) > 0)
end

local state = load_state(ROOM.state)
if not state then return { -1 } end
local expected_epoch, verb, now, admitted, more = tonumber(ARGV[2]), ARGV[1], now_ms(), 0, false
if expected_epoch > 0 and expected_epoch ~= state.epoch then return { -4, state.epoch } end
finish_healing(state, now)
if verb == 'admit' and state.heal_until_ms > 0 then return { -2, math.max(1, state.heal_until_ms - now) } end
advance(state, now)
local before = described(state)
if verb == 'pause' then
  state.paused = 1
elseif verb == 'resume' then
  state.paused = 0
elseif verb == 'close' then
  state.closed, state.draining = 1, 0
elseif verb == 'open' then
  state.closed, state.draining = 0, 0
elseif verb == 'drain' then
  state.closed, state.draining = 1, 1
elseif verb == 'reset' then
  start_anew(state, now)
elseif verb == 'admit' then
  admitted = admit_now(state, now, tonumber(ARGV[4]))
  more = more_could_come(state)
end
if state.counted == 1 then advance(state, now) end
state.version = state.version + 1
save_state(ROOM.state, state)
local entry = write_audit(KEYS[10], now, ARGV[3], verb, before, described(state), ARGV[5])
return { 0, state.epoch, admitted, more and 1 or 0, entry }
