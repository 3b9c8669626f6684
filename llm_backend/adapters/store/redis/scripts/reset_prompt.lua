-- Forgets the prompt of a project that is known. ARGV: project, now.

local head = at('project', ARGV[1])
if redis.call('EXISTS', head) == 1 then
  redis.call('HDEL', head, 'prompt', 'prompt_origin', 'pinned')
  redis.call('HSET', head, 'updated', ARGV[2])
  redis.call('ZADD', at('projects'), ARGV[2], ARGV[1])
end
