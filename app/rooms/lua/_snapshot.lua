-- What a replica keeps of a room: the state's numbers, its gaps, and the windows beyond the edge it knows.
--@include state

local SNAPSHOT_NUMBERS = {
  'epoch', 'version', 'last', 'edge', 'floor', 'run_ms', 'ticked_at_ms', 'moved_run_ms', 'expires_run_ms', 'paused',
  'closed', 'size', 'interval_ms', 'active_ms', 'settings_version', 'heal_until_ms', 'heal_from_ms', 'heals',
  'gap_total', 'peak',
}

local function snapshot(state_key, windows_key, state, now, known_settings, known_edge)
  local reply = { 0, now }
  for _, name in ipairs(SNAPSHOT_NUMBERS) do reply[#reply + 1] = state[name] end
  reply[#reply + 1] = state.gaps
  reply[#reply + 1] = state.settings_version ~= known_settings and redis.call('HGET', state_key, 'settings') or ''
  for _, window in ipairs(redis.call('ZRANGEBYSCORE', windows_key, '(' .. known_edge, '+inf')) do
    reply[#reply + 1] = window
  end
  return reply
end
