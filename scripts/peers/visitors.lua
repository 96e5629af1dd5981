-- Visitors with ids of their own: of every 100, five come from cn-hz and one brings the override.
local requests = {}
local next_one = 0

function init()
  for number = 1, 5000 do
    local headers = { ["x-user-id"] = "user-" .. number }
    if number % 20 == 7 then headers["x-region"] = "cn-hz" end
    if number % 100 == 3 then headers["x-gray-lane"] = "gray" end
    requests[number] = wrk.format("GET", "/api/v1/sku/10086", headers)
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
