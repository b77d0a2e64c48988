-- Bring back visits that a replica knows of and the server has lost: sessions begin their time again, the rest is as it was.
-- KEYS: state, windows, turns, sessions, log, done, front, passed, seen
-- ARGV: epoch, visits...
-- Returns: {0, how many came back}, or {-1} when there is no such room
--@include now
--@include settle

-- Each visit is "position:sequence:kind:until", as the snapshot hands them out. What happened later counts.
local state = load_state(ROOM.state)
if not state then return { -1 } end
local now, limits, back, epoch = now_ms(), limits_of(state), 0, tonumber(ARGV[1])

local function put_back(member, seq, kind, until_run_ms)
  take_out(member)
  if kind == 'e' then
    local started_ms = math.floor(tonumber(seq) / 1000)
    redis.call('ZADD', ROOM.sessions, text(math.min(now + limits.sessionMs, started_ms + limits.maxSessionMs)), member)
  elseif kind == 'w' then
    redis.call('ZADD', ROOM.front, member, member)
  else
    redis.call('ZADD', kind == 'p' and ROOM.passed or ROOM.turns, until_run_ms, member)
    state.expires_run_ms = math.max(state.expires_run_ms, tonumber(until_run_ms))
  end
  redis.call('ZADD', ROOM.log, seq, member)
end
if epoch > state.epoch then
  start_anew(state, now)
  state.epoch, state.edge = epoch, 0
end
if epoch ~= state.epoch then return { 0, 0 } end
for i = 2, #ARGV do
  local member, seq, kind, until_run_ms = string.match(ARGV[i], '^(%d+):(%d+):(%a):(%d+)$')
  if not redis.call('ZSCORE', ROOM.done, member) then
    if kind == 'x' then
      end_visit(state, now, member)
      back = back + 1
    elseif tonumber(redis.call('ZSCORE', ROOM.log, member) or 0) < tonumber(seq) then
      put_back(member, seq, kind, until_run_ms)
      back = back + 1
    end
  end
end
if back > 0 and state.heal_until_ms > 0 then state.heal_lost = 1 end
save_state(ROOM.state, state)
return { 0, back }
