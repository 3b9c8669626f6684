-- What the scripts share; it stands before each of them. KEYS[1] is the prefix of all keys.

local WAITING, DONE, FAILED, CANCELLED = 119, 100, 102, 99 -- the letters w, d, f, c: a run's tasks, one byte each
local UNFINISHED = { queued = true, running = true, paused = true }

local function at(...)
  return KEYS[1] .. table.concat({ ... }, ':')
end

local function seconds()
  return tonumber(redis.call('TIME')[1])
end

-- Takes a claim apart: the place of the task that waits, and its run.
local function parse(claim)
  return claim:match('^(%d+):(.*)$')
end

-- Whether the run is known to others: not one that is just being added or removed.
local function visible(state)
  return state and state ~= 'hidden'
end

-- The letters of tasks, by place. One command for all.
local function letters_at(run, places)
  local asked, letters = {}, {}
  for _, place in ipairs(places) do
    asked[#asked + 1], asked[#asked + 2], asked[#asked + 3] = 'GET', 'u8', '#' .. place
  end
  if #places > 0 then
    for n, letter in ipairs(redis.call('BITFIELD', at('letters', run), unpack(asked))) do
      letters[places[n]] = letter
    end
  end
  return letters
end

-- Writes letters: `changed` holds 'SET', 'u8', '#place', letter for each.
local function write_letters(run, changed)
  if #changed > 0 then
    redis.call('BITFIELD', at('letters', run), unpack(changed))
  end
end

-- Whether a claim still stands: its task waits, and the run is there, or was being added a moment ago.
local function claim_stands(cache, claim)
  local place, run = parse(claim)
  if cache[run] == nil then
    local state = redis.call('HGET', at('run', run), 'state')
    local lease = state == 'hidden' and tonumber(redis.call('ZSCORE', at('hidden'), run) or 0)
    local gone = not state or (lease and lease < seconds())
    cache[run] = not gone and redis.call('GET', at('letters', run)) or false
  end
  return cache[run] and cache[run]:byte(tonumber(place) + 1) == WAITING
end

-- Moves a run to a state. With its end its tasks wait no more, and what they claimed is free.
local function move(run, state, reason, now)
  local head, ended = at('run', run), not UNFINISHED[state]
  local member, created, started = unpack(redis.call('HMGET', head, 'member', 'created', 'started'))
  if ended then
    local letters, cancelled = (redis.call('GET', at('letters', run)) or ''):gsub('w', 'c')
    if cancelled > 0 then
      redis.call('SET', at('letters', run), letters)
      redis.call('HINCRBY', head, 'waiting', -cancelled)
      redis.call('HINCRBY', head, 'cancelled', cancelled)
    end
    redis.call('ZREM', at('unfinished'), member)
    redis.call('ZADD', at('finished'), now, member)
  else
    redis.call('ZADD', at('unfinished'), created, member)
    redis.call('ZREM', at('finished'), member)
  end
  if state == 'running' and tonumber(started) == 0 then
    redis.call('HSET', head, 'started', now)
  end
  redis.call('HSET', head, 'state', state, 'reason', reason, 'finished', ended and now or 0)
end

-- Removes kept answers made until `cutoff`, else the oldest beyond the `allowed` number; `most` at once.
local function trim(cutoff, allowed, most)
  local ages = at('ages')
  local surplus = math.min(redis.call('ZCARD', ages) - allowed, most)
  local old = redis.call('ZRANGEBYSCORE', ages, '-inf', cutoff, 'LIMIT', 0, most)
  if #old < surplus then
    old = redis.call('ZRANGE', ages, 0, surplus - 1)
  end
  for _, member in ipairs(old) do
    redis.call('HDEL', at('kept', member:sub(1, 20)), member:sub(22))
  end
  if #old > 0 then
    redis.call('ZREM', ages, unpack(old))
  end
  return #old
end

-- Keeps answers. `values`: digest, value, ...; `made`: when, scope:digest, ...; `life`: seconds until an unused scope goes.
local function keep(project, scope, values, made, cutoff, allowed, life)
  if #values == 0 then
    return
  end
  local kept, scopes = at('kept', scope), at('scopes', project)
  redis.call('HSET', kept, unpack(values))
  redis.call('EXPIRE', kept, life)
  redis.call('SADD', scopes, scope)
  redis.call('EXPIRE', scopes, life)
  redis.call('ZADD', at('ages'), unpack(made))
  redis.call('EXPIRE', at('ages'), life)
  trim(cutoff, allowed, #values + 10)
end
