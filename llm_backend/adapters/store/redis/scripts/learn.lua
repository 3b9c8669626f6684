-- Remembers corrections, in place of those of the same annotations. ARGV: project, most, news, annotation, correction, ...

local held, order, published = at('corrections', ARGV[1]), at('corrected', ARGV[1]), at('published', ARGV[1])
for n = 4, #ARGV, 2 do
  redis.call('HSET', held, ARGV[n], ARGV[n + 1])
  redis.call('ZADD', order, redis.call('INCR', at('correction_number')), ARGV[n])
  redis.call('SREM', published, ARGV[n])
end
local surplus = redis.call('ZCARD', order) - tonumber(ARGV[2])
if surplus > 0 then
  for _, old in ipairs(redis.call('ZRANGE', order, 0, surplus - 1)) do
    redis.call('HDEL', held, old)
    redis.call('SREM', published, old)
    redis.call('ZREM', order, old)
  end
end
-- Counted for all projects together, so that no stamp comes again after one was forgotten.
redis.call('HSET', at('learned', ARGV[1]), 'changes', redis.call('INCR', at('correction_number')))
redis.call('HINCRBY', at('learned', ARGV[1]), 'since', ARGV[3])
