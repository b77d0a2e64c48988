-- A room brought up to the present moment, as every script needs it that a visitor's request runs.
--@include heal

-- The state and the server's time, once restarts are noticed, healing is over and what is due is done; nil when there is no such room.
local function present_room(heal_ms)
  local state = load_state(ROOM.state)
  if not state then return nil end
  local now = now_ms()
  notice_restart(state, now, heal_ms)
  finish_healing(state, now)
  advance(state, now)
  return state, now
end
