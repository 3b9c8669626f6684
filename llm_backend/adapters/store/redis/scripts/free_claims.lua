-- Frees what a run's tasks claimed that wait no more. ARGV: run, scope, 1 if they wait no more whatever is noted,
-- and place, digest for each task.

local run, scope, all = ARGV[1], ARGV[2], ARGV[3] == '1'
local places, digests, freed = {}, {}, {}
for i = 4, #ARGV, 2 do
  places[#places + 1], digests[#digests + 1] = ARGV[i], ARGV[i + 1]
end
local letters = letters_at(run, places)
for n, claim in ipairs(redis.call('HMGET', at('claims', scope), unpack(digests))) do
  if claim == places[n] .. ':' .. run and (all or letters[places[n]] ~= WAITING) then
    freed[#freed + 1] = digests[n]
  end
end
if #freed > 0 then
  redis.call('HDEL', at('claims', scope), unpack(freed))
end
