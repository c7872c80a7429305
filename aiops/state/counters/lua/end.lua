-- How a request ends. ARGV: 3 what, 4 id, then
--   settle: 5 tokens, 6 cost; answers 1 settled now, 0 settled before, -1 not counted here
--   void:   answers 1 or 0
--   post:   5... name, cost, end of the window (0: none); answers 1 or 0
-- and ! when there is no epoch.

if not made then return { '!' } end
local what, id = ARGV[3], ARGV[4]
local key = base .. 'r:' .. id
local kept = call('GET', key)
local state = kept and sub(kept, 1, 1)

local function ended(how)
    call('SET', key, how, 'PX', KEPT)
end

local function given_back(tokens, cost)
    local owner = close(sub(kept, 2), state == 'L', tokens, cost)
    call('ZREM', base .. 'o:' .. owner, id)
end

if what == 'settle' then
    if state ~= 'L' and state ~= 'E' then return { state == 'S' and 0 or -1, epoch } end
    given_back(tonumber(ARGV[5]), tonumber(ARGV[6]))
    ended('S')
    return { 1, epoch }
end
if what == 'void' then
    if state == 'L' then given_back() end
    if state ~= 'S' then ended('V') end
    return { state == 'L' and 1 or 0, epoch }
end
if state == 'S' then return { 0, epoch } end
if state == 'L' then given_back() end
for index = 5, #ARGV, 3 do
    local counter, ends = base .. 'd:' .. ARGV[index], tonumber(ARGV[index + 2])
    local raw = call('GET', counter)
    if raw and #raw == 24 then
        local settled, reserved, its = unpack('<i8i8i8', raw)
        call('SET', counter, pack('<i8i8i8', settled + ARGV[index + 1], reserved, its), 'PX', money_for(its))
    else
        call('SET', counter, pack('<i8', ends), 'PX', money_for(ends))
    end
end
ended('S')
return { 1, epoch }
