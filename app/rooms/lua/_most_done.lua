-- So many ended visits of a room are remembered. Beyond, the oldest go early, and `forgotten_ms` says how far: of passes
-- signed up to then only those count whose session is known to be live.
local MOST_DONE = 200000
