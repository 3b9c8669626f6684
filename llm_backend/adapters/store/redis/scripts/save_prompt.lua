-- Makes a prompt the project's, unless one is pinned and this is not. ARGV: project, key, now, prompt, origin, pinned.

local head = at('project', ARGV[1])
if ARGV[6] == '1' or redis.call('HGET', head, 'pinned') ~= '1' then
  redis.call('HSET', head, 'key', ARGV[2], 'updated', ARGV[3])
  redis.call('HSET', head, 'prompt', ARGV[4], 'prompt_origin', ARGV[5], 'pinned', ARGV[6])
  redis.call('ZADD', at('projects'), ARGV[3], ARGV[1])
end
