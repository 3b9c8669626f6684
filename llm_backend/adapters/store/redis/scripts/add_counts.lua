-- Adds to what all processes counted. ARGV: process, number, gauges (JSON), most names, forgotten after; name, amount, ...
-- A report whose reply was lost comes again under the same number, and counts once.

local counted, counting = at('counted'), at('counting')
local before = redis.call('HGET', counting, ARGV[1])
if not before or cjson.decode(before)[2] ~= tonumber(ARGV[2]) then
  local room = tonumber(ARGV[4]) - redis.call('HLEN', counted)
  for n = 6, #ARGV, 2 do
    if redis.call('HEXISTS', counted, ARGV[n]) == 0 then
      room = room - 1
    end
    if room >= 0 or redis.call('HEXISTS', counted, ARGV[n]) == 1 then
      redis.call('HINCRBYFLOAT', counted, ARGV[n], ARGV[n + 1])
    end
  end
end
redis.call('HSET', counting, ARGV[1], cjson.encode({ seconds(), tonumber(ARGV[2]), cjson.decode(ARGV[3]) }))
local told = redis.call('HGETALL', counting)
for n = 1, #told, 2 do
  if cjson.decode(told[n + 1])[1] < seconds() - tonumber(ARGV[5]) then
    redis.call('HDEL', counting, told[n])
  end
end
