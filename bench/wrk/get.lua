-- The metadata of one secret, any of those in the file of ids.

local common = dofile("bench/wrk/common.lua")

setup = common.number_threads()
done = common.done

local requests = {}

function init()
  math.randomseed(number)
  for line in io.lines(os.getenv("BENCH_IDS")) do
    local id = line:match("^%S+")
    requests[#requests + 1] = wrk.format("GET", "/vault_secrets/" .. id, common.headers)
  end
end

function request()
  return requests[math.random(#requests)]
end
