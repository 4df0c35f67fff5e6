-- A new secret with a name of its own each time.

local common = dofile("bench/wrk/common.lua")

setup = common.number_threads()
done = common.done

local body = '{"vault_name":"bench","name":"%s-%d-%d","value":"postgres://app:correct-horse@db.internal:5432/app",'
  .. '"description":"Connection string of the application","metadata":"{\\"environment\\":\\"bench\\"}"}'
local headers = { ["Content-Type"] = "application/json" }
for name, value in pairs(common.headers) do
  headers[name] = value
end

local run = os.getenv("BENCH_RUN")
local made = 0

function request()
  made = made + 1
  return wrk.format("POST", "/vault_secrets", headers, string.format(body, run, number, made))
end
