-- Which answers may be handed over; they count as handed over now. ARGV: now, latest, asked, token, scope, two periods of
-- time, seconds that a period is remembered, digests. Returns which of the digests, counted from 1.

local now, latest, asked, token = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local this, before = at('given', ARGV[5], ARGV[6]), at('given', ARGV[5], ARGV[7])
local digests = { unpack(ARGV, 9) }
local given = { redis.call('HMGET', this, unpack(digests)), redis.call('HMGET', before, unpack(digests)) }
local mine, noted = {}, {}
for n, digest in ipairs(digests) do
  local free = true
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
  end
end
if #mine > 0 then
  redis.call('HSET', this, unpack(noted))
  redis.call('EXPIRE', this, ARGV[8])
end
return mine
