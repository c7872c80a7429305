-- Keeps an answer, within a bound of all that are kept. The keys:
--   PREFIXa:NAME     an answer        PREFIXages     names by the time of their end (milliseconds)
--   PREFIXbytes      of all of them   PREFIXsizes    bytes of each
-- They are made up here, so this is for one Redis (with replicas), and no cluster.
-- ARGV: the prefix, the name, the answer, how long it is kept (milliseconds), and the bound (bytes).

local call = redis.call
local prefix, name, answer, ttl, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local OVERHEAD, AT_ONCE = 400, 100 -- bytes that Redis needs for an answer beside it; how many that ended are forgotten
local ages, sizes, bytes = prefix .. 'ages', prefix .. 'sizes', prefix .. 'bytes'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(old)
    local size = call('HGET', sizes, old)
    if size then call('DECRBY', bytes, size) end
    call('HDEL', sizes, old)
    call('ZREM', ages, old)
    call('UNLINK', prefix .. 'a:' .. old)
end

local size = #answer + OVERHEAD
if size > most then return 0 end
for _, old in ipairs(call('ZRANGEBYSCORE', ages, '-inf', now, 'LIMIT', 0, AT_ONCE)) do forget(old) end
forget(name)
local kept = tonumber(call('GET', bytes) or 0)
while kept + size > most do
    local old = call('ZRANGE', ages, 0, 0)[1] -- whose end is the nearest
    if not old then break end
    forget(old)
    kept = tonumber(call('GET', bytes) or 0)
end
call('SET', prefix .. 'a:' .. name, answer, 'PX', ttl)
call('ZADD', ages, now + ttl, name)
call('HSET', sizes, name, size)
call('INCRBY', bytes, size)
local last = math.max(call('PTTL', ages), ttl + 60000) -- the books outlive every answer, and end by themselves
for _, book in ipairs({ ages, sizes, bytes }) do call('PEXPIRE', book, last) end
return 1
