-- Give a batch of visitors the next positions, in their order; those with a known Idempotency-Key get theirs again.
-- KEYS: state, windows, operation, idempotency...
-- ARGV: count, heal_ms, operation_ttl_ms, idempotency_ttl_ms, keyed...
-- Returns: {0, now_ms, epoch, first, edge, run_ms, until_run_ms, '' or "epoch:position:until:joined_ms:ticket_id"…},
--   {-1} no such room, {-2, wait_ms} healing, {-3} closed
--@include now
--@include heal

-- `keyed` is, for each idempotency key, its index within the batch (from 0) and the ticket id to store.
local state = load_state(KEYS[1])
if not state then return { -1 } end
local again = redis.call('GET', KEYS[3])
if again then return cjson.decode(again) end
local now = now_ms()
notice_restart(state, now, tonumber(ARGV[2]))
finish_healing(KEYS[2], state, now)
advance(KEYS[2], state, now)
if state.heal_until_ms > 0 then
  save_state(KEYS[1], state)
  return { -2, math.max(1, state.heal_until_ms - now) }
end
if state.closed == 1 then
  save_state(KEYS[1], state)
  return { -3 }
end

local first = state.last + 1
local until_run_ms = state.run_ms + state.active_ms
local reply = { 0, now, state.epoch, first, state.edge, state.run_ms, until_run_ms }
local known = 0
for i = 4, #KEYS do
  local index, ticket_id = tonumber(ARGV[5 + (i - 4) * 2]), ARGV[6 + (i - 4) * 2]
  local stored = redis.call('GET', KEYS[i])
  if stored and tonumber(string.match(stored, '^(%d+):')) == state.epoch then
    known = known + 1
    reply[#reply + 1] = stored
  else
    local position = first + index - known
    local active_until = position <= state.edge and until_run_ms or 0
    stored = string.format('%.0f:%.0f:%.0f:%.0f:%s', state.epoch, position, active_until, now, ticket_id)
    redis.call('SET', KEYS[i], stored, 'PX', ARGV[4])
    reply[#reply + 1] = ''
  end
end

local given = tonumber(ARGV[1]) - known
state.last = state.last + given
if given > 0 and first <= state.edge then state.expires_run_ms = math.max(state.expires_run_ms, until_run_ms) end
if now - state.bucket_at_ms >= tonumber(ARGV[2]) then
  state.bucket_at_ms = now
  state.bucket_n = 0
end
state.bucket_n = state.bucket_n + given
state.peak = math.max(state.peak, state.bucket_n)
save_state(KEYS[1], state)
redis.call('SET', KEYS[3], cjson.encode(reply), 'PX', ARGV[3])
return reply
