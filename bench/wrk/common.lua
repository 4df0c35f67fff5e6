-- What every case shares: the headers of a real client, and one line of figures at the end.

local common = {}

common.headers = {
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"),
  ["Ngrok-Version"] = "2",
  ["User-Agent"] = "strongroom-bench/1",
  ["Accept"] = "*/*",
}

-- Read by `xtask/src/bench/load.rs`. Latencies are in microseconds.
function common.done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "figures requests=%d micros=%d errors=%d p50=%d p90=%d p99=%d max=%d\n",
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end

-- Numbers wrk's threads, so that each can draw its own ids and names.
function common.number_threads()
  local count = 0
  return function(thread)
    count = count + 1
    thread:set("number", count)
  end
end

return common
