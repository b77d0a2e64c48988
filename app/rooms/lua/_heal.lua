-- Healing: after the server has lost its last writes, the live replicas put together what they saw.
--@include run_id
--@include settle

-- Healing waits for replicas that are known to live, but not for ever: one of them may have died as well.
local HEAL_LIMIT_MS = 3000

local function begin_healing(state, now, heal_ms, server)
  state.run_id = server
  state.heal_from_ms = now
  state.heal_until_ms = now + heal_ms
  state.heal_expect, state.heal_lost = 0, 0
  state.heal_by = ','
  state.version = state.version + 1
end

-- Start healing when another server process than this one wrote the state. Asking who it is costs more than the rest
-- of a tick, so the refresh loop asks once for all rooms, just before, and hands `known` in.
local function notice_restart(state, now, heal_ms, known)
  local server = known and known ~= '' and known or run_id()
  if state.run_id ~= server then begin_healing(state, now, heal_ms, server) end
end

-- Go on where the server has lost something: whoever stands behind the edge and is not known to be done has a turn,
-- whoever waits counts as just seen, and of the pace's allowance nothing is left, for it may have been used.
local function take_up_again(state)
  -- Whoever stands between the last known window and the edge gets a whole active time from now.
  local newest = redis.call('ZREVRANGE', ROOM.windows, 0, 0)[1]
  local covered = math.max(state.floor, newest and tonumber(string.match(newest, '^(%d+):')) or 0)
  if state.edge > covered then add_window(state, state.run_ms + state.active_ms) end
  if state.counted == 1 then fill_turns(state, 0) end
  presume_present(state)
  state.rate_empty_us = math.max(state.rate_empty_us, state.run_ms * 1000)
  if state.counted == 1 then state.batch_left = 0 end
end

-- End healing once everyone known has reported, leaving out as many positions as a period's peak of joins.
local function finish_healing(state, now)
  if state.heal_until_ms == 0 or now < state.heal_until_ms then return end
  local _, commas = string.gsub(state.heal_by, ',', '')
  if commas - 1 < state.heal_expect and now < state.heal_from_ms + HEAL_LIMIT_MS then return end
  state.heal_until_ms = 0
  state.heals = state.heals + 1
  state.ticked_at_ms = now
  state.version = state.version + 1
  if state.last == 0 then return end
  local gap = math.max(1, state.peak)
  local ahead_of_joins = math.max(0, state.edge - state.last)
  leave_out(state, state.last, state.last + gap)
  state.edge = state.edge + math.min(gap, ahead_of_joins)
  state.last = state.last + gap
  state.gap_total = state.gap_total + gap
  if state.heal_lost == 1 then take_up_again(state) end
end

-- Count positions given out: a later healing leaves out as many as the most within `bucket_ms`.
local function count_given(state, now, given, bucket_ms)
  if now - state.bucket_at_ms >= bucket_ms then
    state.bucket_at_ms = now
    state.bucket_n = 0
  end
  state.bucket_n = state.bucket_n + given
  state.peak = math.max(state.peak, state.bucket_n)
end
