-- The health of a SupervisionTree for Argo CD, in the words of its conditions.
local function say(status, condition)
  return { status = status, message = condition.reason .. ": " .. condition.message }
end

if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "The operator has not looked at the tree yet." }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not looked at the newest spec yet." }
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(type, status)
  return conditions[type] ~= nil and conditions[type].status == status
end

if is("Accepted", "False") then
  return say("Degraded", conditions.Accepted)
end
if is("Stalled", "True") then
  return say("Degraded", conditions.Stalled)
end
if obj.spec.suspend then
  return { status = "Suspended", message = "The tree keeps its hands off: spec.suspend is true." }
end
if is("Reconciling", "True") then
  return say("Progressing", conditions.Reconciling)
end
if is("Ready", "True") then
  return say("Healthy", conditions.Ready)
end
if is("ResolvedRefs", "False") then
  -- In one sync a tree may well come before its children.
  local missing = conditions.ResolvedRefs.reason == "ChildMissing"
  return say(missing and "Progressing" or "Degraded", conditions.ResolvedRefs)
end
if conditions.Ready ~= nil and conditions.Ready.reason == "ChildCannotStart" then
  return say("Degraded", conditions.Ready)
end
if conditions.Ready ~= nil then
  return say("Progressing", conditions.Ready)
end
return { status = "Unknown", message = "The tree has no condition Ready." }
