-- Which answers may be handed over; they count as handed over now, or are held by `token` for a time. ARGV: now, latest,
-- asked, when they are shown, milliseconds to hold them (0: they are handed over), token, scope, two periods of time,
-- seconds that a period is remembered, digests. Returns which of the digests, counted from 1.

local now, latest, asked, shown, milliseconds = unpack(ARGV, 1, 5)
local token, scope, holding = ARGV[6], ARGV[7], tonumber(milliseconds) > 0
local this, before = at('given', scope, ARGV[8]), at('given', scope, ARGV[9])
local digests, names = { unpack(ARGV, 11) }, {}
for n, digest in ipairs(digests) do
  names[n] = at('held', scope, digest)
end

-- Whether this was handed over too lately: since the request began, or so that it may be on its way still.
local function too_late(given)
  local time, seen, owner = given:match('^(%S+) (%S+) (.*)$')
  -- The same token: this very question came before, and our reply was lost. A time still to come is none.
  if not time or owner == token or tonumber(time) > tonumber(latest) then
    return false
  end
  return holding and tonumber(seen) > tonumber(now) or not holding and tonumber(time) >= tonumber(asked)
end

local held = redis.call('MGET', unpack(names))
local given = { redis.call('HMGET', this, unpack(digests)), redis.call('HMGET', before, unpack(digests)) }
local mine, noted = {}, {}
for n, digest in ipairs(digests) do
  local free = not held[n] or held[n] == token
  for _, times in ipairs(given) do
    free = free and not (times[n] and too_late(times[n]))
  end
  if free then
    mine[#mine + 1] = n
    noted[#noted + 1], noted[#noted + 2] = digest, now .. ' ' .. shown .. ' ' .. token
    if holding then
      redis.call('SET', names[n], token, 'PX', milliseconds)
    end
  end
end
if #mine > 0 and not holding then
  redis.call('HSET', this, unpack(noted))
  redis.call('EXPIRE', this, ARGV[10])
end
return mine
