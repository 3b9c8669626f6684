-- Lets failed and cancelled tasks wait again, but for those that wait in another run, and drops their kept failures.
-- ARGV: run, 1 if the run is to be queued whatever its state (else only if it is finished), place, digest for each task.
-- Returns how many wait again; false if the run is unknown.

local run, head = ARGV[1], at('run', ARGV[1])
local state, scope, member, created = unpack(redis.call('HMGET', head, 'state', 'scope', 'member', 'created'))
if not visible(state) then
  return false
end
local places, digests = {}, {}
for i = 3, #ARGV, 2 do
  places[#places + 1], digests[#digests + 1] = ARGV[i], ARGV[i + 1]
end
local letters = letters_at(run, places)
local kept = redis.call('HMGET', at('kept', scope), unpack(digests))
local claims = redis.call('HMGET', at('claims', scope), unpack(digests))
local changed, claimed, again, dropped, cache = {}, {}, {}, {}, {}
local counts = { [FAILED] = 0, [CANCELLED] = 0 }
for n, place in ipairs(places) do
  local letter = letters[place]
  if letter == FAILED and kept[n] and kept[n]:sub(1, 1) == '-' then
    dropped[#dropped + 1] = digests[n]
  end
  if counts[letter] and not (claims[n] and claim_stands(cache, claims[n])) then
    counts[letter] = counts[letter] + 1
    again[#again + 1] = place
    claimed[#claimed + 1], claimed[#claimed + 2] = digests[n], place .. ':' .. run
    local c = #changed
    changed[c + 1], changed[c + 2], changed[c + 3], changed[c + 4] = 'SET', 'u8', '#' .. place, WAITING
  end
end

for _, digest in ipairs(dropped) do
  redis.call('HDEL', at('kept', scope), digest)
  redis.call('ZREM', at('ages'), scope .. ':' .. digest)
end
if #again == 0 then
  return 0
end
redis.call('HSET', at('claims', scope), unpack(claimed))
redis.call('HDEL', at('reasons', run), unpack(again))
write_letters(run, changed)
redis.call('HINCRBY', head, 'failed', 0 - counts[FAILED]) -- Redis refuses the -0 that a mere minus makes
redis.call('HINCRBY', head, 'cancelled', 0 - counts[CANCELLED])
redis.call('HINCRBY', head, 'waiting', #again)
if ARGV[2] == '1' or not UNFINISHED[state] then
  move(run, 'queued', '""', 0)
end
return #again
