-- KEYS: the index of the Store's keys. ARGV: where to begin, as ZRANGEBYLEX has it, most keys, most
-- bytes. Gives {whether more follow (0 or 1), keys}.
--
-- In pieces, so that large keys are not all read to find that most of them do not fit.
local PIECE = 64
local from, most, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local page = {}
while true do
  local wanted = math.min(PIECE, most + 1 - #page)
  local piece = redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, wanted)
  for _, key in ipairs(piece) do
    -- The first key is given whatever its size: a page without one would have no next page.
    if #page == most or (#key > room and #page > 0) then
      return {1, page}
    end
    page[#page + 1] = key
    room = room - #key
  end
  if #piece < wanted then
    return {0, page}
  end
  from = '(' .. piece[#piece]
end
