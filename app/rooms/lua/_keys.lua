-- Names for the keys that every room script is given first, in this order; positions are the members of all of them.
--
--   state      the room's numbers, see _state.lua
--   windows    "edge:until_run_ms" by edge
--   turns      open turns by the running time they end at; plain batch rooms keep theirs in windows alone
--   sessions   sessions by the server time they end at
--   log        who is in a session, has a turn of their own, was passed over or came back, by sequence number
--   done       whose visit is over, by sequence number
--   front      passed over and come back: next in line, by position
--   passed     passed over, by the running time at which the grace to come back ends
--   seen       the running time until which a waiting visitor counts as present
local ROOM = {
  state = KEYS[1], windows = KEYS[2], turns = KEYS[3], sessions = KEYS[4], log = KEYS[5], done = KEYS[6],
  front = KEYS[7], passed = KEYS[8], seen = KEYS[9],
}
