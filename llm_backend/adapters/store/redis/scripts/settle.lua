-- Notes what became of tasks. ARGV: run, now, cutoff, allowed, life, and seven for each task (see below).
-- Returns the run's state; false if the run is unknown.

local run, now, cutoff, allowed, life = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local head = at('run', run)
local state, scope, project = unpack(redis.call('HMGET', head, 'state', 'scope', 'project'))
if not visible(state) then
  return false
end
if #ARGV < 6 then
  return state
end

-- Where those of the tasks stand that wait in this run.
local digests, places, place_of = {}, {}, {}
for i = 6, #ARGV, 7 do
  digests[#digests + 1] = ARGV[i]
end
local claims = at('claims', scope)
for n, claim in ipairs(redis.call('HMGET', claims, unpack(digests))) do
  if claim then
    local place, owner = parse(claim)
    if owner == run then
      places[#places + 1], place_of[n] = place, place
    end
  end
end
local letters = letters_at(run, places)

local changed, freed, answered, reasons, values, made = {}, {}, {}, {}, {}, {}
local counts = { done = 0, failed = 0, prompt_tokens = 0, completion_tokens = 0, calls = 0 }
for n, digest in ipairs(digests) do
  local i = 6 + (n - 1) * 7
  -- The value begins with + for an answer and - for a lasting failure; it is empty for a failure that is not kept.
  local value, when, reason = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local done, place = value:sub(1, 1) == '+', place_of[n]
  local waits = place and letters[place] == WAITING
  if waits then
    letters[place] = nil -- a second outcome for the same task counts for nothing
    for m, name in ipairs({ 'prompt_tokens', 'completion_tokens', 'calls' }) do
      counts[name] = counts[name] + tonumber(ARGV[i + 3 + m])
    end
    counts[done and 'done' or 'failed'] = counts[done and 'done' or 'failed'] + 1
    freed[#freed + 1] = digest
    local c = #changed
    changed[c + 1], changed[c + 2], changed[c + 3], changed[c + 4] = 'SET', 'u8', '#' .. place, done and DONE or FAILED
    if done then
      answered[#answered + 1] = place
    else
      reasons[#reasons + 1], reasons[#reasons + 2] = place, reason
    end
  elseif done then -- it comes late, but was paid for: kept if nothing better is
    local held = redis.call('HGET', at('kept', scope), digest)
    if held and held:sub(1, 1) == '+' then
      value = ''
    end
  end
  if value ~= '' and (waits or done) then
    values[#values + 1], values[#values + 2] = digest, value
    made[#made + 1], made[#made + 2] = when, scope .. ':' .. digest
  end
end

keep(project, scope, values, made, cutoff, allowed, life)
if #freed == 0 then
  return state
end
redis.call('HDEL', claims, unpack(freed))
write_letters(run, changed)
if #answered > 0 then -- an answered task will not be asked again: its text goes
  redis.call('HDEL', at('texts', run), unpack(answered))
end
if #reasons > 0 then
  redis.call('HSET', at('reasons', run), unpack(reasons))
end
for name, count in pairs(counts) do
  if count > 0 then
    redis.call('HINCRBY', head, name, count)
  end
end
if redis.call('HINCRBY', head, 'waiting', -#freed) > 0 then
  return state
end
move(run, 'completed', '""', now)
return 'completed'
