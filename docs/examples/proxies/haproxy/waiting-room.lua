-- Asks Stanchion's gate about each request, and tells it when the site ends a visit. For HAProxy 2.6 or newer, which
-- has an HTTP client for Lua but no auth_request of its own. docs/proxies/haproxy.md explains it.

-- The `gate` frontend of haproxy.cfg, and the room's name.
local GATE = "http://127.0.0.1:3001/_queue/gate/default"
-- A gate that hangs must not hang the site.
local TIMEOUT_MS = 3000

-- Headers that belong to a connection or a body, and are not the gate's business.
local NOT_TOLD = {
    ["connection"] = true,
    ["keep-alive"] = true,
    ["upgrade"] = true,
    ["te"] = true,
    ["trailer"] = true,
    ["transfer-encoding"] = true,
    ["content-length"] = true,
    ["content-encoding"] = true,
    ["expect"] = true,
    ["accept-encoding"] = true, -- its answer is read here
}

-- What `end_visit` tells the gate of the visitor, since a response no longer knows its request.
local KEPT = {
    ["cookie"] = "; ",
    ["x-waiting-room-pass"] = ",",
    ["x-forwarded-for"] = ",",
    ["x-forwarded-proto"] = ",",
    ["x-forwarded-host"] = ",",
}

local function plain(values)
    local list = {}
    for i = 0, #values do
        list[#list + 1] = values[i]
    end
    return list
end

local function first(headers, name)
    local values = headers and headers[name]
    return values and (values[0] or values[1])
end

-- http-request: sets txn.gate to `let-in` or `away`, or answers the visitor itself with what the gate says.
core.register_action("ask_gate", { "http-req" }, function(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not NOT_TOLD[name] then
            headers[name] = plain(values)
        end
    end
    headers["x-forwarded-method"] = { txn.f:method() }
    headers["x-forwarded-uri"] = { txn.f:pathq() }
    for name, separator in pairs(KEPT) do
        txn:set_var("txn.kept_" .. name:gsub("-", "_"), table.concat(headers[name] or {}, separator))
    end

    local said = core.httpclient():get({ url = GATE, headers = headers, timeout = TIMEOUT_MS })
    local status = said and said.status or 0
    local type_of_body = first(said and said.headers, "content-type") or ""
    if status >= 200 and status < 300 then
        txn:set_var("txn.gate", "let-in")
        txn:set_var("txn.let_in_by", first(said.headers, "x-waiting-room") or "")
        local session = first(said.headers, "x-waiting-room-session")
        if session then
            txn:set_var("txn.session", session)
        end
        local cookie = first(said.headers, "set-cookie")
        if cookie then
            txn:set_var("txn.pass_cookie", cookie)
        end
        return
    end
    -- An error that is not the gate's own word is HAProxy's: no replica could be asked.
    if status == 0 or (status >= 500 and not type_of_body:find("application/problem+json", 1, true)) then
        txn:set_var("txn.gate", "away")
        return
    end
    local reply = txn:reply({ status = status })
    for name, values in pairs(said.headers) do
        if not NOT_TOLD[name] then
            for _, value in ipairs(plain(values)) do
                reply:add_header(name, value)
            end
        end
    end
    reply:set_body(said.body or "")
    txn:done(reply)
end, 0)

-- http-response: the site has said by X-Waiting-Room-End that the visit is over.
core.register_action("end_visit", { "http-res" }, function(txn)
    local how = first(txn.http:res_get_headers(), "x-waiting-room-end")
    local headers = { ["x-waiting-room-end"] = { how } }
    for name in pairs(KEPT) do
        local value = txn:get_var("txn.kept_" .. name:gsub("-", "_"))
        if value and value ~= "" then
            headers[name] = { value }
        end
    end
    local said = core.httpclient():post({ url = GATE .. "/end", headers = headers, body = "", timeout = TIMEOUT_MS })
    if not said or said.status < 200 or said.status >= 300 then
        txn:Warning("the gate did not end a visit: status " .. tostring(said and said.status))
    end
end, 0)
