-- How a request ends. ARGV: 3 what, 4 id, then
--   settle: 5 tokens, 6 cost; answers 1 settled now, 0 settled before, -1 not counted here
--   void:   answers 1 or 0
--   post:   5... name, cost, end of the window (0: none); answers 1 or 0
-- and ! when there is no epoch.
-- What is settled is kept as S, and after it the counters that were not there when it was posted, each with \0.

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
local again, left = state == 'S', {}
if again then
    for name in string.gmatch(sub(kept, 2), '[^%z]+') do left[name] = true end
else
    for index = 5, #ARGV, 3 do left[ARGV[index]] = true end
end
if state == 'L' then given_back() end
local counted = false
for index = 5, #ARGV, 3 do
    local name, ends = ARGV[index], tonumber(ARGV[index + 2])
    if left[name] then
        local counter = base .. 'd:' .. name
        local raw = call('GET', counter)
        if raw and #raw == 24 then
            local settled, reserved, its = unpack('<i8i8i8', raw)
            call('SET', counter, pack('<i8i8i8', settled + ARGV[index + 1], reserved, its), 'PX', money_for(its))
            counted, left[name] = true, nil
        else
            call('SET', counter, pack('<i8', ends), 'PX', money_for(ends))
        end
    end
end
if again and not counted then return { 0, epoch } end
local names = ''
for name in pairs(left) do names = names .. name .. '\0' end
ended('S' .. names)
return { 1, epoch }
