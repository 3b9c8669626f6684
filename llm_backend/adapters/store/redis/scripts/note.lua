-- Notes an annotation's prompt as the latest of its project. ARGV: project, annotation, prompt, most.

local notes, order = at('notes', ARGV[1]), at('noted', ARGV[1])
redis.call('HSET', notes, ARGV[2], ARGV[3])
redis.call('ZADD', order, redis.call('INCR', at('note_number')), ARGV[2])
local surplus = math.min(redis.call('ZCARD', order) - tonumber(ARGV[4]), 100)
if surplus > 0 then
  local old = redis.call('ZRANGE', order, 0, surplus - 1)
  redis.call('HDEL', notes, unpack(old))
  redis.call('ZREM', order, unpack(old))
end
