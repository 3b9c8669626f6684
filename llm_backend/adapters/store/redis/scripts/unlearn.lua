-- Forgets the corrections of annotations. ARGV: project, annotation, ...

local gone = 0
for n = 2, #ARGV do
  gone = gone + redis.call('HDEL', at('corrections', ARGV[1]), ARGV[n])
  redis.call('ZREM', at('corrected', ARGV[1]), ARGV[n])
  redis.call('SREM', at('published', ARGV[1]), ARGV[n])
end
if gone > 0 then
  redis.call('HSET', at('learned', ARGV[1]), 'changes', redis.call('INCR', at('correction_number')))
end
