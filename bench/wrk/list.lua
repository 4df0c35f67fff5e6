-- The first page of 100 secrets.

local common = dofile("bench/wrk/common.lua")

done = common.done

function init()
  wrk.headers = common.headers
  wrk.path = "/vault_secrets?limit=100"
  local page = wrk.format()
  -- One request, made once: the load generator then spends next to nothing on it.
  request = function() return page end
end
