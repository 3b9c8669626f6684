-- Notes what /setup said, unless it says nothing new. ARGV: project, key, now, hostname, token, parameters, config.

local head = at('project', ARGV[1])
local held = redis.call('HMGET', head, 'hostname', 'access_token', 'extra_params', 'label_config')
if held[1] ~= ARGV[4] or held[2] ~= ARGV[5] or held[3] ~= ARGV[6] or (held[4] or '') ~= ARGV[7] then
  redis.call('HSET', head, 'key', ARGV[2], 'updated', ARGV[3])
  redis.call('HSET', head, 'hostname', ARGV[4], 'access_token', ARGV[5], 'extra_params', ARGV[6], 'label_config', ARGV[7])
  redis.call('ZADD', at('projects'), ARGV[3], ARGV[1])
end
