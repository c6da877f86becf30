/**
 * Lua that tells whether a log may have lost what was answered, where another run of a server has it
 * than before: `server()` names the server that answers now, and `may_have_lost(c, run, here)` compares
 * it with the one that the meta names.
 *
 * @module
 */

/** `server` and `may_have_lost`, for a script that has `whole`, `time`, `META` and `LOG`. */
export const LOSS_LUA = `
-- What the Cluster says of a node: its flags, with commas, and its configuration epoch; and whether any
-- node is a replica.
local function cluster_node(node)
  local nodes, flags, config, has_replicas = redis.pcall('CLUSTER', 'NODES'), ',', '', false
  if type(nodes) ~= 'string' then return flags, config, true end
  for name, its, epoch in string.gmatch(nodes, '(%w+) %S+ (%S+) %S+ %S+ %S+ (%d+) [^\\n]*') do
    its = ',' .. its .. ','
    if name == node then flags, config = its, epoch end
    if string.find(its, ',slave,', 1, true) then has_replicas = true end
  end
  return flags, config, has_replicas
end

-- The process of the server, its node in a Cluster, and that one's configuration epoch.
local function server()
  local process = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
  local node = redis.pcall('CLUSTER', 'MYID')
  if type(node) ~= 'string' then return process .. '::' end
  local _, config = cluster_node(node)
  return process .. ':' .. node .. ':' .. config
end

-- Whether this process ever had its data from a primary that it followed.
local function has_followed()
  local last = string.match(redis.call('INFO', 'replication'), 'master_replid2:(%w+)')
  local fed = string.match(redis.call('INFO', 'stats'), 'total_net_repl_input_bytes:(%d+)')
  return last ~= string.rep('0', 40) or fed ~= '0'
end

-- Whether the server writes to the disk before it answers, and was started again from its own file.
local function goes_on(c, run)
  local last, earlier = string.match(runs(), '^(%w+)(.*)$')
  return last == string.sub(run, 1, 12)
    and string.find(earlier .. ',', ',' .. string.sub(c.run, 1, 12) .. ',', 1, true)
end

-- Whether the channel was used after this process had begun. Seconds, of another node's clock, perhaps.
local function was_used_since_start(c)
  local used = redis.call('HGET', META, 'created')
  local last = math.max(c.used, c.kept, c.at or 0, whole(used) or 0)
  local got = redis.pcall('XREVRANGE', LOG, '+', '-', 'COUNT', 1)
  local entry = not got.err and got[1] and got[1][2]
  if entry then last = math.max(last, whole(string.match(entry[2] or '', '^%[(%d+),')) or 0) end
  local uptime = whole(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')) or 0
  return last > time - (uptime - 1) * 1000
end

-- Whether the channel was moved here from a node that takes writes as ever. One that another stands in
-- for has failed, or follows that one, or is gone; or it has come back with a later configuration epoch,
-- which it also has if slots were moved to it. Where this process began after the channel was used last,
-- it may have been filled by a primary before.
local function was_moved(c, node, config)
  local flags, now_config, has_replicas = cluster_node(node)
  return string.find(flags, ',master,', 1, true) and not string.find(flags, ',fail%??,')
    and (now_config == config or not has_replicas) and was_used_since_start(c)
end

-- Whether the server that answers now can have lost writes that the one before has answered. It has
-- not if that is the same process and never followed another, if it was only started again, and if
-- the channel was moved to it from another node of a Cluster. Where nothing proves it, it may have.
local function may_have_lost(c, run, here)
  if goes_on(c, run) then return false end
  if has_followed() then return true end
  local before = redis.call('HGET', META, 'server') or ''
  local process, node, config = string.match(before, '^(%w+):(%w*):?(%d*)$')
  local own_process, own_node = string.match(here, '^(%w*):(%w*)')
  if not process then return true end
  if node == own_node then return process ~= own_process end
  return node == '' or own_node == '' or not was_moved(c, node, config)
end
`;
