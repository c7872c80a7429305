-- What the scripts of the counters have in common; put before each of them. The contract is meters.py, the layouts are
-- those of sliding.py, kinds.py and records.py, the keys:
--   PREFIXepoch            name of these counters, when they were made (microseconds), Redis' run
--   PREFIXEPOCH:a:NAME     requests     PREFIXEPOCH:c:NAME  parallel      PREFIXEPOCH:r:ID      a reservation, or how it ended
--   PREFIXEPOCH:b:NAME     tokens       PREFIXEPOCH:d:NAME  money         PREFIXEPOCH:o:OWNER   its reservations by deadline
--   PREFIXEPOCH:owners     when each was last alive
-- They are made up here, so this is for one Redis (with replicas), and no cluster.
-- ARGV: 1 the prefix, 2 the time (tests alone; else empty), then what each script says.

local spread = unpack
local call, pack, unpack, sub, floor = redis.call, struct.pack, struct.unpack, string.sub, math.floor
local SECOND, SPAN, EXACT, LONGEST, AHEAD = 1000000, 60000000, 120, 256, 2000000
local OWNER_SPAN, KEPT, DAY = 10000000, 7200000, 86400000 -- microseconds; milliseconds
local FOR_GOOD = 315360000000 -- ten years, in milliseconds
local LETTERS = { [0] = 'a:', 'b:', 'c:', 'd:' }

local now = tonumber(ARGV[2])
if not now then
    local time = call('TIME')
    now = time[1] * 1000000 + time[2]
end
local made = call('GET', ARGV[1] .. 'epoch')
local epoch, birth, base
if made then
    epoch, birth = sub(made, 1, 32), tonumber(sub(made, 34, 49))
    base = ARGV[1] .. epoch .. ':'
end

-- A log: sum, reserved, the string and where its live entries begin.
local function load(raw, requests)
    if not raw then return 0, 0, '', 1 end
    local sum, reserved = unpack('<i8i8', raw)
    local size, gone = #raw, now - SPAN
    if size == 16 then return sum, reserved, raw, 17 end
    local first, many = unpack('<i8i8', raw, 17)
    if first > gone then
        if requests and first > now + AHEAD then return 0, reserved, '', 1 end
        return sum, reserved, raw, 17
    end
    if unpack('<i8', raw, size - 15) <= gone then return 0, reserved, '', 1 end
    local place = 17
    while first <= gone do
        sum, place = sum - many, place + 16
        first, many = unpack('<i8i8', raw, place)
    end
    return sum, reserved, raw, place
end

-- Microseconds until `needed` have left the window; nil: that many are not in it.
local function until_left(raw, place, needed)
    if needed <= 0 then return 0 end
    for at = place, #raw, 16 do
        local when, many = unpack('<i8i8', raw, at)
        needed = needed - many
        if needed <= 0 then return math.max(0, when + SPAN - now) end
    end
    return nil
end

-- The log with `number` more that count from `when`, and for how many milliseconds it matters.
local function append(sum, reserved, raw, place, when, number, fine)
    if not fine then when = (floor(when / SECOND) + 1) * SECOND end
    local size = #raw
    local entries = floor((size - place + 1) / 16)
    if entries > 0 then
        local last, many = unpack('<i8i8', raw, size - 15)
        if last >= when or entries >= LONGEST then
            when = math.max(last, when)
            number, size = number + many, size - 16
            sum = sum - many
        end
    end
    local log = pack('<i8i8', sum + number, reserved) .. sub(raw, place, size) .. pack('<i8i8', when, number)
    return log, floor((when + SPAN - now) / 1000) + 60000
end

local function spend_tokens(sum, reserved, raw, place, number, limit, shadow)
    if shadow == 1 then
        return append(sum, reserved, raw, place, now, number, limit <= EXACT and sum < EXACT)
    end
    local over, when = sum + number - limit, now
    if over > 0 and limit > 0 then
        local freed, found = 0, false
        for at = place, #raw, 16 do
            local counted, many = unpack('<i8i8', raw, at)
            freed = freed + many
            if freed >= over then
                when, found = math.max(now, counted + SPAN), true
                break
            end
        end
        if not found then
            if #raw - place >= 15 then when = math.max(now, unpack('<i8', raw, #raw - 15) + SPAN) end
            when = when + math.ceil((over - freed) * SPAN / limit)
        end
    end
    return append(sum, reserved, raw, place, when, number, limit <= EXACT)
end

local function money_for(ends)
    if ends == 0 then return FOR_GOOD end
    return math.max(0, floor(ends * 1000 - now / 1000)) + DAY
end

-- What a reservation holds, as a list of code, shadow, amount, limit, name; and its owner.
local function held(record)
    local number = unpack('<I2', record, 9)
    local names, list = 11 + 18 * number, {}
    local owner, name
    local finish = string.find(record, '\0', names, true)
    owner = sub(record, names, (finish or 0) - 1)
    for index = 0, number - 1 do
        local start = finish + 1
        finish = string.find(record, '\0', start, true)
        name = sub(record, start, (finish or 0) - 1)
        local code, shadow, amount, limit = unpack('<BBi8i8', record, 11 + 18 * index)
        list[#list + 1] = { code, shadow, amount, limit, name }
    end
    return list, owner
end

-- Give back what `record` holds (when `live`), and count what was used (when `tokens`).
local function close(record, live, tokens, cost)
    local list, owner = held(record)
    for _, each in ipairs(list) do
        local code, amount = each[1], live and each[3] or 0
        local key = base .. LETTERS[code] .. each[5]
        local raw = call('GET', key)
        if code == 1 then
            if raw or tokens then
                local sum, reserved, log, place = load(raw)
                reserved = math.max(0, reserved - amount)
                local new, keep
                if tokens and tokens > 0 then
                    new, keep = spend_tokens(sum, reserved, log, place, tokens, each[4], each[2])
                else
                    new, keep = pack('<i8i8', sum, reserved) .. sub(log, place), 120000
                    if sum > 0 then keep = floor((unpack('<i8', log, #log - 15) + SPAN - now) / 1000) + 60000 end
                end
                if reserved > 0 then keep = math.max(keep, DAY) end
                call('SET', key, new, 'PX', keep)
            end
        elseif code == 2 then
            if raw then
                local left = unpack('<i8', raw) - amount
                if left > 0 then
                    call('SET', key, pack('<i8', left), 'PX', DAY)
                else
                    call('DEL', key)
                end
            end
        elseif raw and #raw == 24 then
            local settled, reserved, ends = unpack('<i8i8i8', raw)
            local new = pack('<i8i8i8', settled + (cost or 0), math.max(0, reserved - amount), ends)
            call('SET', key, new, 'PX', money_for(ends))
        end
    end
    return owner
end

local function expire(id, owner)
    local kept = call('GET', base .. 'r:' .. id)
    if kept and sub(kept, 1, 1) == 'L' then
        close(sub(kept, 2), true)
        call('SET', base .. 'r:' .. id, 'E' .. sub(kept, 2), 'PX', KEPT)
    end
    call('ZREM', base .. 'o:' .. owner, id)
end
