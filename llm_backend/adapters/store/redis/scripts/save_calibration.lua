-- Notes what a known project's scores have been worth. ARGV: project, calibration, now.

local head = at('project', ARGV[1])
if redis.call('EXISTS', head) == 1 then
  redis.call('HSET', head, 'calibration', ARGV[2], 'updated', ARGV[3])
  redis.call('ZADD', at('projects'), ARGV[3], ARGV[1])
end
