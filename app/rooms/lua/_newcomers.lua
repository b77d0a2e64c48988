-- Whoever is new in a room: whether anybody may come, and places given out.
--@include present

-- What a script answers when nobody may come now, else nil.
local function refusal(state, limits, now)
  if state.heal_until_ms > 0 then return { -2, math.max(1, state.heal_until_ms - now) } end
  if state.closed == 1 then return { -3 } end
  if limits.method == 'reject' then return { -6 } end
  return nil
end

-- Whoever has just come was told when to ask again, and is present until well after that.
local function note_present(state, limits, first, told_ms)
  if not limits.passOverMs then return end
  local present_until = text(state.run_ms + told_ms + limits.passOverMs)
  for position = first, state.last do redis.call('ZADD', ROOM.seen, present_until, text(position)) end
end

-- Give out the next `given` places, and turns with them as far as the limits have room. Returns the first of the places.
local function give_places(state, limits, now, given, told_ms, bucket_ms)
  local first = state.last + 1
  if given == 0 then return first end
  state.last = state.last + given
  if first <= state.edge then
    state.expires_run_ms = math.max(state.expires_run_ms, state.run_ms + state.active_ms)
  end
  note_present(state, limits, first, told_ms)
  if state.counted == 1 and state.paused == 0 and state.opened == 1 then admit(state, limits, now) end
  count_given(state, now, given, bucket_ms)
  return first
end

-- When turns that begin now end: the newest window says it, where every turn has one.
local function newest_turns_end(state)
  local newest = state.counted == 1 and redis.call('ZREVRANGE', ROOM.windows, 0, 0)[1]
  return newest and tonumber(string.match(newest, ':(%d+)$')) or state.run_ms + state.active_ms
end
