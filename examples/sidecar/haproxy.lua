-- Asks the sidecar for the id of a request, and keeps it in the variable `txn.id`. The argument of
-- the action is the address of the sidecar.
local seconds = 5

-- Returns the id, or nil if the sidecar does not answer.
local function ask(address, target)
  local socket = core.tcp()
  socket:settimeout(seconds)
  if not socket:connect(address) then
    return nil
  end
  socket:send("GET /.cache-index/id HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\nX-Target: "
    .. target .. "\r\n\r\n")
  local id
  local line = socket:receive("*l")
  if line and line:find("^HTTP/1%.1 200") then
    repeat
      line = socket:receive("*l")
      id = line and line:lower():match("^x%-cache%-index%-id: (%x+)") or id
    until not line or line == "" or line == "\r"
  end
  socket:close()
  return id
end

core.register_action("cache_index_id", { "http-req" }, function(txn, address)
  local id = ask(address, txn:get_var("txn.target"))
  if id then
    txn:set_var("txn.id", id)
  end
end, 1)
