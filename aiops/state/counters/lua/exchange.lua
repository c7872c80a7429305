-- What gateways tell each other, for a while. ARGV: 3 who says it, 4 what, 5 for how many milliseconds.
-- Answers what the others said: microseconds since, text, ...
-- Keys: PREFIXseen who has said something, PREFIXseen:WHO when (16 digits), and what. They are of no epoch.

local who, life, seen = ARGV[3], tonumber(ARGV[5]), ARGV[1] .. 'seen'
call('SET', seen .. ':' .. who, string.format('%016.0f', now) .. ARGV[4], 'PX', life)
call('ZADD', seen, now, who)
call('PEXPIRE', seen, life)
local heard = {}
for _, other in ipairs(call('ZRANGE', seen, 0, 255)) do
    if other ~= who then
        local said = call('GET', seen .. ':' .. other)
        if said then
            heard[#heard + 1] = string.format('%.0f', now - tonumber(sub(said, 1, 16)))
            heard[#heard + 1] = sub(said, 17)
        else
            call('ZREM', seen, other)
        end
    end
end
return heard
