-- What wrk sends, and how it reports: `-- METHOD [file with one token a line [header that carries it [what stands before it]]]`.
local prepared = {}
local sent = 0

function init(args)
  local method, path, carrier, before = args[1], args[2], args[3] or 'Authorization', args[4] or 'Bearer '
  if not path then
    prepared[1] = wrk.format(method)
    return
  end
  for token in io.lines(path) do
    local headers = { [carrier] = before .. token }
    for name, value in pairs(wrk.headers) do headers[name] = value end
    prepared[#prepared + 1] = wrk.format(method, nil, headers)
  end
end

function request()
  sent = sent + 1
  return prepared[(sent - 1) % #prepared + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nFIGURES {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
