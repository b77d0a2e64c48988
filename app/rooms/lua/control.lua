-- Carry out an operator's verb on a room; doing it twice is the same as once, but for reset.
-- KEYS: state, windows
-- ARGV: verb, expected_epoch
-- Returns: {0, epoch}, {-1} no such room, {-4, epoch} when the epoch is not the expected one (0 expects any)
--@include now
--@include advance

local state = load_state(KEYS[1])
if not state then return { -1 } end
local expected_epoch = tonumber(ARGV[2])
if expected_epoch > 0 and expected_epoch ~= state.epoch then return { -4, state.epoch } end
advance(KEYS[2], state, now_ms())
local verb = ARGV[1]
if verb == 'pause' then
  state.paused = 1
elseif verb == 'resume' then
  state.paused = 0
elseif verb == 'close' then
  state.closed = 1
elseif verb == 'open' then
  state.closed = 0
elseif verb == 'reset' then
  state.epoch = state.epoch + 1
  state.last, state.floor, state.expires_run_ms, state.gaps = 0, 0, 0, ''
  state.edge = state.size
  state.moved_run_ms = state.run_ms
  redis.call('DEL', KEYS[2])
end
state.version = state.version + 1
save_state(KEYS[1], state)
return { 0, state.epoch }
