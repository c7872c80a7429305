-- Count a demand on all of its meters, or on none; without an id: only say how they stand. What is reserved already is
-- not counted again, and is its owner's who asked last.
-- ARGV: 3 id, 4 owner, 5 tokens, 6 cost, 7 microseconds it lives, 8 the meters, see redis.py.
-- Answers G epoch levels over... | R first for-good wait levels | U epoch indexes | ! (there is no epoch)

if not made then return '!' end
local id, owner, tokens, cost, life, meters = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local list, names, at, size = {}, {}, 1, #meters
while at <= size do
    local code, shadow, limit, window, ends, start, name
    code, shadow, limit, window, ends, start, name, at = unpack('<BBi8i8i8i8s', meters, at)
    list[#list + 1] = {
        code = code, shadow = shadow, limit = limit, window = window, ends = ends, base = start, name = name,
        sum = 0, reserved = 0, raw = false, place = 1,
    }
    names[#list] = base .. LETTERS[code] .. name
end
local number = #list
names[number + 1] = base .. 'r:' .. id
local values = call('MGET', spread(names))
local known = id == '' or values[number + 1]

local missing = {}
for index = 1, number do
    local each, raw = list[index], values[index]
    local code = each.code
    if code < 2 then
        each.sum, each.reserved, each.raw, each.place = load(raw, code == 0)
    elseif code == 2 then
        each.sum, each.reserved = 0, raw and unpack('<i8', raw) or 0
    elseif raw and #raw == 24 then
        each.sum, each.reserved = unpack('<i8i8', raw)
    else
        if raw or each.window * SECOND < birth then missing[#missing + 1] = string.char(index - 1) end
        each.sum, each.reserved = each.base, 0
    end
end
if not known and #missing > 0 then return 'U' .. epoch .. table.concat(missing) end

local function left_of_window(each)
    return each.ends == 0 and -1 or math.max(0, each.ends * SECOND - now)
end

local function level(each)
    local used, resets = each.sum + each.reserved, 0
    if used >= each.limit then
        if each.code == 3 then
            resets = left_of_window(each)
        elseif each.code == 2 then
            resets = -1
        else
            resets = until_left(each.raw, each.place, used + 1 - each.limit) or -1
        end
    end
    return pack('<i8i8i8', used, each.reserved, resets)
end

local function levels()
    local said = {}
    for index = 1, number do said[index] = level(list[index]) end
    return table.concat(said)
end

local function own(deadline)
    call('ZADD', base .. 'o:' .. owner, deadline, id)
    local seen = call('ZSCORE', base .. 'owners', owner)
    if not seen or tonumber(seen) < now - OWNER_SPAN / 2 then
        call('ZADD', base .. 'owners', now, owner)
        call('PEXPIRE', base .. 'owners', DAY + floor(life / 1000))
        call('PEXPIRE', base .. 'o:' .. owner, DAY + floor(life / 1000))
    end
end

if known then
    local _, before = nil, owner
    local live = values[number + 1] and sub(values[number + 1], 1, 1) == 'L'
    if live then _, before = held(sub(values[number + 1], 2)) end
    if before ~= owner then
        local record = sub(values[number + 1], 2)
        local at = 11 + 18 * unpack('<I2', record, 9)
        record = sub(record, 1, at - 1) .. owner .. sub(record, at + #before)
        call('SET', names[number + 1], 'L' .. record, 'KEEPTTL')
        call('ZREM', base .. 'o:' .. before, id)
        own((unpack('<i8', record)))
    end
    return 'G' .. epoch .. levels()
end

local over, first, wait = {}, nil, 0
for index = 1, number do
    local each = list[index]
    local code, full, its = each.code, false, -1
    if code < 2 then
        local wanted = code == 0 and 1 or math.max(1, math.min(tokens, each.limit))
        local needed = each.sum + each.reserved + wanted - each.limit
        full = needed > 0
        if full then its = until_left(each.raw, each.place, needed) or -1 end
    elseif code == 2 then
        full = each.reserved >= each.limit
    elseif each.sum >= each.limit then
        full, its = true, left_of_window(each)
    else
        full = each.reserved > 0 and each.sum + each.reserved + cost > each.limit
    end
    if full and each.shadow == 1 then
        over[#over + 1] = string.char(index - 1) .. level(each)
    elseif full then
        first = first or index
        wait = (wait < 0 or its < 0) and -1 or math.max(wait, its)
    end
end
if first then
    local each = list[first]
    local for_good = each.code == 3 and each.sum >= each.limit
    return 'R' .. string.char(first - 1, for_good and 1 or 0) .. pack('<i8', wait) .. levels()
end

local kept, owned, life_ms = {}, { owner }, floor(life / 1000)
for index = 1, number do
    local each = list[index]
    local code, amount, new, keep = each.code, 1, nil, life_ms + 600000
    if code == 0 then
        local fine = each.limit <= EXACT and each.sum < EXACT
        new, keep = append(each.sum, 0, each.raw, each.place, now, 1, fine)
        each.sum, each.raw, each.place = each.sum + 1, new, 17
    elseif code == 1 then
        amount = math.max(0, math.min(tokens, each.limit))
        each.reserved = each.reserved + amount
        new = pack('<i8i8', each.sum, each.reserved) .. sub(each.raw, each.place)
        if #new > 16 then keep = math.max(keep, floor((unpack('<i8', new, #new - 15) + SPAN - now) / 1000) + 60000) end
        each.raw, each.place = new, 17
    elseif code == 2 then
        each.reserved = each.reserved + 1
        new = pack('<i8', each.reserved)
    else
        amount = math.max(0, cost)
        if each.reserved == 0 and each.sum < each.limit then amount = math.min(amount, each.limit - each.sum) end
        each.reserved = each.reserved + amount
        new, keep = pack('<i8i8i8', each.sum, each.reserved, each.ends), money_for(each.ends)
    end
    if code == 3 and values[index] then -- it ends when it was made to
        call('SETRANGE', names[index], 0, new)
    else
        call('SET', names[index], new, 'PX', keep)
    end
    if code > 0 then
        kept[#kept + 1] = pack('<BBi8i8', code, each.shadow, amount, each.limit)
        owned[#owned + 1] = each.name
    end
end
local record = pack('<i8I2', now + life, #kept) .. table.concat(kept) .. table.concat(owned, '\0')
call('SET', names[number + 1], 'L' .. record, 'PX', life_ms + KEPT)
own(now + life)
return 'G' .. epoch .. levels() .. table.concat(over)
