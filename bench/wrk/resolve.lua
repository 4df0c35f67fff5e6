-- The values of as many secrets as BENCH_REFERENCES says, by name, any of those in the file of ids.

local common = dofile("bench/wrk/common.lua")

setup = common.number_threads()
done = common.done

local headers = { ["Content-Type"] = "application/json" }
for name, value in pairs(common.headers) do
  headers[name] = value
end

local each = tonumber(os.getenv("BENCH_REFERENCES"))
local requests = {}

function init()
  math.randomseed(number)
  local names = {}
  for line in io.lines(os.getenv("BENCH_IDS")) do
    names[#names + 1] = line:match("%S+$")
  end
  for made = 1, math.min(#names, 2000) do
    local references = {}
    for place = 1, each do
      local name = names[math.random(#names)]
      references[place] = string.format('{"vault":"bench","name":"%s"}', name)
    end
    local body = '{"secrets":[' .. table.concat(references, ",") .. ']}'
    requests[made] = wrk.format("POST", "/strongroom/resolve", headers, body)
  end
end

function request()
  return requests[math.random(#requests)]
end
