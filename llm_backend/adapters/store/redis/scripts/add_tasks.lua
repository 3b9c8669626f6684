-- Adds to a hidden run those of the tasks that wait nowhere, and renews its lease.
-- ARGV: run, scope, lease in seconds, and digest, name, text for each task.
-- Returns which of the tasks are the run's, counted from 1; false if its lease has ended.

local run, scope = ARGV[1], ARGV[2]
local lease = tonumber(redis.call('ZSCORE', at('hidden'), run) or 0)
if lease < seconds() then
  return false
end
redis.call('ZADD', at('hidden'), seconds() + tonumber(ARGV[3]), run)

local claims, digests = at('claims', scope), {}
for i = 4, #ARGV, 3 do
  digests[#digests + 1] = ARGV[i]
end
local first = redis.call('STRLEN', at('letters', run))
local mine, claimed, names, texts, cache = {}, {}, {}, {}, {}
for n, claim in ipairs(redis.call('HMGET', claims, unpack(digests))) do
  local owner = claim and select(2, parse(claim))
  if owner == run then -- this very slice came before, and our reply was lost
    mine[#mine + 1] = n
  elseif not claim or not claim_stands(cache, claim) then
    local place, i = first + #names, 4 + (n - 1) * 3
    mine[#mine + 1] = n
    claimed[#claimed + 1], claimed[#claimed + 2] = digests[n], place .. ':' .. run
    names[#names + 1] = ARGV[i + 1]
    texts[#texts + 1], texts[#texts + 2] = place, ARGV[i + 2]
  end
end
if #names > 0 then
  redis.call('HSET', claims, unpack(claimed))
  redis.call('HSET', at('texts', run), unpack(texts))
  redis.call('HSET', at('names', run), first, '[' .. table.concat(names, ',') .. ']')
  redis.call('APPEND', at('letters', run), ('w'):rep(#names))
end
return mine
