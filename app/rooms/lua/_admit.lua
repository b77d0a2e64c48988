-- Turns given one by one: as many as the batch, the rate and maxActive all allow at once.
--@include visits

local NO_LIMIT = 1e15
-- Turns that end within this of each other share a window, so that windows stay few.
local SHARE_MS = 100

local function add_window(state, until_run_ms)
  redis.call('ZADD', ROOM.windows, text(state.edge), text(state.edge) .. ':' .. text(until_run_ms))
  state.expires_run_ms = math.max(state.expires_run_ms, until_run_ms)
end

-- Microseconds rounded up, so that a rate never gives more; what reckoning with fractions adds to a whole one is none.
local function whole_us(us) return math.ceil(us - 0.001) end

-- A bucket that fills with running time, up to the burst.
local function rate_allowance(state, limits)
  if not limits.ratePerMinute then return NO_LIMIT, 0 end
  local period_us = 60000000 / limits.ratePerMinute
  local run_us = state.run_ms * 1000
  state.rate_empty_us = math.max(state.rate_empty_us, math.floor(run_us - limits.rateBurst * period_us))
  return math.max(0, math.floor((run_us - state.rate_empty_us) / period_us)), period_us
end

local function batch_allowance(state, limits)
  if limits.batches ~= 1 then return NO_LIMIT end
  if state.run_ms - state.moved_run_ms >= state.interval_ms then
    state.batch_left = state.size
    state.moved_run_ms = state.run_ms
  end
  return state.batch_left
end

local function free_slots(limits)
  if not limits.maxActive then return NO_LIMIT end
  return limits.maxActive - redis.call('ZCARD', ROOM.turns) - redis.call('ZCARD', ROOM.sessions)
end

-- The next positions in line, at most `count`; what healing left out is passed for free.
local function next_in_line(state, gaps, count)
  local members, position = {}, state.edge
  while #members < count and position < state.last do
    position = past_gaps(gaps, position + 1)
    if position <= state.last then members[#members + 1] = text(position) end
  end
  if #members == 0 then state.edge = state.last end
  return members
end

-- Give a turn to whoever of `members` is still here; the others are stepped over. Returns how many got one.
local function give_turns(state, limits, now, members, until_run_ms)
  local done = redis.call('ZMSCORE', ROOM.done, unpack(members))
  local inside = redis.call('ZMSCORE', ROOM.sessions, unpack(members)) -- where the server had lost the edge
  local seen = limits.passOverMs and redis.call('ZMSCORE', ROOM.seen, unpack(members))
  local given = {}
  for i, member in ipairs(members) do
    state.edge = tonumber(member)
    if not done[i] and not inside[i] then
      if seen and (tonumber(seen[i] or 0) <= state.run_ms) then
        redis.call('ZADD', ROOM.passed, text(state.run_ms + limits.graceMs), member)
        log_visit(state, now, member)
        state.abandoned = state.abandoned + 1
        state.expires_run_ms = math.max(state.expires_run_ms, state.run_ms + limits.graceMs)
      else
        given[#given + 1] = text(until_run_ms)
        given[#given + 1] = member
      end
    end
  end
  if seen then redis.call('ZREM', ROOM.seen, unpack(members)) end
  if #given > 0 then redis.call('ZADD', ROOM.turns, unpack(given)) end
  return #given / 2
end

-- Let `count` visitors in: those who came back first, then the line in its order. Returns how many there were.
local function let_in(state, limits, now, count)
  local until_run_ms = math.ceil((state.run_ms + state.active_ms) / SHARE_MS) * SHARE_MS
  local left = count
  local back = redis.call('ZPOPMIN', ROOM.front, text(left))
  for i = 1, #back, 2 do
    redis.call('ZADD', ROOM.turns, text(until_run_ms), back[i])
    log_visit(state, now, back[i])
    state.expires_run_ms = math.max(state.expires_run_ms, until_run_ms)
    left = left - 1
  end
  local gaps, looked, in_line = read_gaps(state.gaps), 0, 0
  while left > 0 and state.edge < state.last and looked < 2 * STEP do
    local members = next_in_line(state, gaps, math.min(left, STEP))
    if #members == 0 then break end
    local given = give_turns(state, limits, now, members, until_run_ms)
    left, looked, in_line = left - given, looked + #members, in_line + given
  end
  if in_line > 0 then
    local newest = redis.call('ZREVRANGE', ROOM.windows, 0, 0)[1]
    if newest and string.match(newest, ':(%d+)$') == text(until_run_ms) then redis.call('ZREM', ROOM.windows, newest) end
    add_window(state, until_run_ms)
  end
  state.version = state.version + 1
  state.admitted = state.admitted + count - left
  return count - left
end

-- How many may be let in now, and what one of them takes of the rate's allowance.
local function allowance(state, limits)
  if limits.method == 'passthrough' then return STEP, 0 end
  local by_rate, period_us = rate_allowance(state, limits)
  return math.max(0, math.min(STEP, by_rate, free_slots(limits), batch_allowance(state, limits))), period_us
end

-- Admit whoever the limits have room for.
local function admit(state, limits, now)
  if state.last <= state.edge and redis.call('ZCARD', ROOM.front) == 0 then return end
  local count, period_us = allowance(state, limits)
  if count == 0 then return end
  local admitted = let_in(state, limits, now, count)
  if period_us > 0 then state.rate_empty_us = whole_us(state.rate_empty_us + admitted * period_us) end
  if limits.batches == 1 then state.batch_left = math.max(0, state.batch_left - admitted) end
end

-- The server time at which something is to be done in a counted room; 0 when nothing is.
local function due_at(state, limits, now)
  if state.heal_until_ms > 0 then return state.heal_until_ms end
  local first_session = redis.call('ZRANGE', ROOM.sessions, 0, 0, 'WITHSCORES')[2]
  local due = first_session and tonumber(first_session) or NO_LIMIT
  if state.paused == 1 then return due < NO_LIMIT and due or 0 end
  local run_to_now = state.run_ms - state.ticked_at_ms
  local first_turn = redis.call('ZRANGE', ROOM.turns, 0, 0, 'WITHSCORES')[2]
  if first_turn then due = math.min(due, tonumber(first_turn) + kept_ms(state) - run_to_now) end
  if state.opened == 0 then return math.min(due, limits.opensAtMs or due) end
  if (state.last > state.edge or redis.call('ZCARD', ROOM.front) > 0) and (limits.method == 'passthrough' or free_slots(limits) > 0) then
    local next_run_ms = 0
    if limits.method ~= 'passthrough' then
      if limits.ratePerMinute then
        next_run_ms = math.ceil((state.rate_empty_us + 60000000 / limits.ratePerMinute) / 1000)
      end
      if limits.batches == 1 and state.batch_left <= 0 then
        next_run_ms = math.max(next_run_ms, state.moved_run_ms + state.interval_ms)
      end
    end
    due = math.min(due, math.max(now, next_run_ms - run_to_now))
  end
  return due < NO_LIMIT and due or 0
end
