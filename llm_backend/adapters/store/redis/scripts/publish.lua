-- Publishes all corrections of a project, if they changed since the last time. ARGV: project, publication.

local learned = at('learned', ARGV[1])
local changes, published_at = unpack(redis.call('HMGET', learned, 'changes', 'published_at'))
if tonumber(changes or 0) > tonumber(published_at or 0) then
  redis.call('HSET', learned, 'publication', ARGV[2], 'published_at', changes, 'since', 0)
  redis.call('DEL', at('published', ARGV[1]))
  for _, annotation in ipairs(redis.call('HKEYS', at('corrections', ARGV[1]))) do
    redis.call('SADD', at('published', ARGV[1]), annotation)
  end
end
