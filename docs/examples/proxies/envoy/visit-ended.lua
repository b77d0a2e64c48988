-- /etc/envoy/visit-ended.lua: tells Stanchion's gate when the site ends a visit, by X-Waiting-Room-End in its answer.
-- docs/proxies/envoy.md explains it.

-- The cluster of envoy.yaml, and the room's name.
local CLUSTER, GATE_END = "replicas", "/_queue/gate/default/end"
-- A gate that hangs must not hang the site.
local TIMEOUT_MS = 3000

-- What the gate is told of the visitor, kept since an answer no longer knows its request.
local KEPT = { "cookie", "x-waiting-room-pass", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host" }
local OURS = "stanchion"

function envoy_on_request(handle)
    local headers = handle:headers()
    for _, name in ipairs(KEPT) do
        handle:streamInfo():dynamicMetadata():set(OURS, name, headers:get(name) or "")
    end
end

function envoy_on_response(handle)
    local how = handle:headers():get("x-waiting-room-end")
    if how == nil then
        return
    end
    handle:headers():remove("x-waiting-room-end")
    local told = { [":method"] = "POST", [":path"] = GATE_END, [":authority"] = "stanchion", ["x-waiting-room-end"] = how }
    local kept = handle:streamInfo():dynamicMetadata():get(OURS) or {}
    for name, value in pairs(kept) do
        if value ~= "" then
            told[name] = value
        end
    end
    local said = handle:httpCall(CLUSTER, told, "", TIMEOUT_MS)
    if said[":status"]:sub(1, 1) ~= "2" then
        handle:logWarn("the gate did not end a visit: status " .. said[":status"])
    end
end
