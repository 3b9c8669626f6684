-- Which answers may be handed over; they count as handed over now, or are held by `token` for a time. ARGV: now, latest,
-- asked, token, scope, two periods of time, seconds that a period is remembered, milliseconds to hold them (0: they are
-- handed over), digests. Returns which of the digests, counted from 1.

local now, latest, asked, token = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local scope, milliseconds = ARGV[5], tonumber(ARGV[9])
local this, before = at('given', scope, ARGV[6]), at('given', scope, ARGV[7])
local digests, names = { unpack(ARGV, 10) }, {}
for n, digest in ipairs(digests) do
  names[n] = at('held', scope, digest)
end
local held = redis.call('MGET', unpack(names))
local given = { redis.call('HMGET', this, unpack(digests)), redis.call('HMGET', before, unpack(digests)) }
local mine, noted = {}, {}
for n, digest in ipairs(digests) do
  local free = not held[n] or held[n] == token
  for _, times in ipairs(given) do
    if times[n] then
      local time, owner = times[n]:match('^(%S+) (.*)$')
      -- The same token: this very question came before, and our reply was lost.
      free = free and (owner == token or tonumber(time) < asked or tonumber(time) > latest)
    end
  end
  if free then
    mine[#mine + 1] = n
    noted[#noted + 1], noted[#noted + 2] = digest, now .. ' ' .. token
    if milliseconds > 0 then
      redis.call('SET', names[n], token, 'PX', milliseconds)
    end
  end
end
if #mine > 0 and milliseconds == 0 then
  redis.call('HSET', this, unpack(noted))
  redis.call('EXPIRE', this, ARGV[8])
end
return mine
