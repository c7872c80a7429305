-- What keeps the counters. ARGV: 3 what, then
--   hello: 4 Redis' run, 5 a fresh name; answers the epoch. Another run: what Redis has may be older than what was said
--          before it stopped, so that all begins anew.
--   epoch: answers it
--   seed:  4 epoch (or empty), 5... name, spent, end of the window (0: none)
--   alive: 4 owner; answers how many epochs of the past may still have keys
--   gone:  4 owner
-- and ! when there is no epoch.

local what = ARGV[3]
if what == 'hello' then
    local run = made and sub(made, 51)
    if run ~= ARGV[4] then
        if made then
            call('RPUSH', ARGV[1] .. 'old', epoch)
            call('PEXPIRE', ARGV[1] .. 'old', FOR_GOOD)
        end
        epoch = ARGV[5]
        made = epoch .. ' ' .. string.format('%016.0f', now) .. ' ' .. ARGV[4]
        call('SET', ARGV[1] .. 'epoch', made, 'PX', FOR_GOOD)
    end
    return { 0, epoch }
end
if not made then return { '!' } end
if what == 'epoch' then return { 1, epoch } end
if what == 'seed' then
    if ARGV[4] ~= '' and ARGV[4] ~= epoch then return { 0, epoch } end
    for index = 5, #ARGV, 3 do
        local counter, ends = base .. 'd:' .. ARGV[index], tonumber(ARGV[index + 2])
        local raw = call('GET', counter)
        if not raw or #raw ~= 24 then
            call('SET', counter, pack('<i8i8i8', tonumber(ARGV[index + 1]), 0, ends), 'PX', money_for(ends))
        end
    end
    return { 1, epoch }
end

local owner, owners = ARGV[4], base .. 'owners'
-- Give back some of what an owner reserved until a deadline; true when that was all.
local function give_back(whose, deadline, most)
    local ids = call('ZRANGEBYSCORE', base .. 'o:' .. whose, '-inf', deadline, 'LIMIT', 0, most)
    for _, id in ipairs(ids) do expire(id, whose) end
    return #ids < most
end
if what == 'gone' then
    while not give_back(owner, '+inf', 256) do end
    call('ZREM', owners, owner)
    return { 1, epoch }
end
call('ZADD', owners, now, owner)
call('PEXPIRE', owners, 2 * DAY)
call('PEXPIRE', base .. 'o:' .. owner, 2 * DAY)
for _, whose in ipairs(call('ZRANGEBYSCORE', owners, '-inf', '(' .. string.format('%.0f', now - OWNER_SPAN), 'LIMIT', 0, 16)) do
    if give_back(whose, '+inf', 256) then call('ZREM', owners, whose) end
end
for _, whose in ipairs(call('ZRANGE', owners, 0, 255)) do give_back(whose, string.format('%.0f', now), 64) end
return { call('LLEN', ARGV[1] .. 'old'), epoch }
