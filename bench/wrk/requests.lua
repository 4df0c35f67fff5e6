-- Sends the requests of one case, which `xtask/src/bench/load.rs` wrote to the file BENCH_REQUESTS:
-- method, path and body on a line, with tabs between. BENCH_DRAW says in which order:
--   any   any line, again and again
--   new   the same, and `{new}` in it becomes a text of its own each time
--   each  every line once; each thread has a share of its own and ends with it
-- With BENCH_RATE, so many requests a second are due on a schedule that does not wait for answers. One whose connection
-- was still waiting then leaves late, and how late is part of the figures: nothing that a stall delayed is left out.

local ffi = require("ffi")
ffi.cdef([[
  typedef struct { long seconds; long nanos; } bench_time;
  int clock_gettime(int clock, bench_time *time);
]])
local time = ffi.new("bench_time")

-- Microseconds of the clock that wrk's timers go by.
local function now()
  ffi.C.clock_gettime(0, time)
  return tonumber(time.seconds) * 1e6 + tonumber(time.nanos) / 1e3
end

local draw = os.getenv("BENCH_DRAW")
local run = os.getenv("BENCH_RUN")
local thread_count = tonumber(os.getenv("BENCH_THREADS"))
local rate = tonumber(os.getenv("BENCH_RATE"))

local headers = {
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"),
  ["Ngrok-Version"] = "2",
  ["User-Agent"] = "strongroom-bench/1",
  ["Accept"] = "*/*",
  ["Bench-Case"] = os.getenv("BENCH_CASE"),
}
local headers_with_body = { ["Content-Type"] = "application/json" }
for name, value in pairs(headers) do
  headers_with_body[name] = value
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
  thread:set("number", #threads)
end

local function made(line)
  if line.body == "" then
    return wrk.format(line.method, line.path, headers)
  end
  return wrk.format(line.method, line.path, headers_with_body, line.body)
end

local lines = {}
local requests = {}
-- wrk asks the first thread for a request before it starts, only to look at it.
local looked_at = false

function init()
  math.randomseed(number)
  looked_at = number > 1
  local place = 0
  for text in io.lines(os.getenv("BENCH_REQUESTS")) do
    place = place + 1
    if draw ~= "each" or place % thread_count == number - 1 then
      local method, path, body = text:match("^(%S+)\t(%S+)\t(.*)$")
      local line = { method = method, path = path, body = body }
      if draw == "new" then
        lines[#lines + 1] = line
      else
        requests[#requests + 1] = made(line)
      end
    end
  end
end

local count = 0

local function next_request()
  count = count + 1
  if draw == "any" then
    return requests[math.random(#requests)]
  elseif draw == "new" then
    local line = lines[math.random(#lines)]
    local text = string.format("%s-%d-%d", run, number, count)
    return made({
      method = line.method,
      path = (line.path:gsub("{new}", text)),
      body = (line.body:gsub("{new}", text)),
    })
  elseif count <= #requests then
    return requests[count]
  end
  -- The share is used up. What is sent meanwhile is not waited for.
  ended = ended or now()
  wrk.thread:stop()
  return wrk.format("GET", "/healthz")
end

-- How late requests left: buckets that are a fifth wider each, from a microsecond on.
local BUCKETS = 100
local WIDTH = 1.2
for bucket = 0, BUCKETS do
  _G["late_" .. bucket] = 0
end

local due = {}
local first_due, next_due = 1, 0

if rate then
  -- Called when a connection could send: how many milliseconds it has to wait.
  function delay()
    local moment = now()
    started = started or moment
    -- Timers go by whole milliseconds, so that is what requests are due at.
    local at = math.ceil((started + next_due * 1e6 * thread_count / rate) / 1e3)
    next_due = next_due + 1
    due[next_due] = at * 1e3
    return math.max(0, at - math.floor(moment / 1e3))
  end
end

function request()
  if not looked_at then
    looked_at = true
    return next_request()
  end
  local moment = now()
  started = started or moment
  if rate then
    local late = math.max(1, moment - due[first_due])
    due[first_due] = nil
    first_due = first_due + 1
    local bucket = "late_" .. math.min(BUCKETS, math.floor(math.log(late) / math.log(WIDTH)))
    _G[bucket] = _G[bucket] + 1
  end
  return next_request()
end

-- How late the latest of the first so many percent left.
local function late(percent)
  local buckets, total = {}, 0
  for bucket = 0, BUCKETS do
    buckets[bucket] = 0
    for _, thread in ipairs(threads) do
      buckets[bucket] = buckets[bucket] + thread:get("late_" .. bucket)
    end
    total = total + buckets[bucket]
  end
  local seen = 0
  for bucket = 0, BUCKETS do
    seen = seen + buckets[bucket]
    if total > 0 and seen >= total * percent / 100 then
      return WIDTH ^ (bucket + 1)
    end
  end
  return 0
end

-- Microseconds from the first request to the last, where all threads came to the end of their shares.
local function used_up()
  local first, last = math.huge, 0
  for _, thread in ipairs(threads) do
    local from, to = thread:get("started"), thread:get("ended")
    if not to then
      return nil
    end
    first, last = math.min(first, from), math.max(last, to)
  end
  return last - first
end

-- Read by `xtask/src/bench/wrk.rs`. Times are in microseconds.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("figures requests=%d micros=%d errors=%d", summary.requests,
    (draw == "each" and used_up()) or summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
  for name, percent in pairs({ p50 = 50, p90 = 90, p99 = 99, p999 = 99.9 }) do
    io.write(string.format(" %s=%d", name, latency:percentile(percent) + (rate and late(percent) or 0)))
  end
  io.write(string.format(" max=%d\n", latency.max))
end
