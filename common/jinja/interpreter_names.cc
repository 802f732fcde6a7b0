// Names: looking them up and assigning to them; see interpreter.h.
#include "common/jinja/errors.h"
#include "common/jinja/interpreter.h"
#include "common/jinja/operators.h"
#include "common/status_macros.h"

namespace regatta::jinja {

Value Interpreter::Lookup(NameId name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (const auto& [id, value] : scope->names) {
      if (id == name) return value;
    }
  }
  if (root_[name].has_value()) return *root_[name];
  if (std::optional<Value> global = FindGlobal(*program_.names[name])) return *std::move(global);
  return Value(Undefined{.text = program_.names[name]});
}

void Interpreter::Set(NameId name, Value value) {
  if (scope_ == nullptr) {
    root_[name] = std::move(value);
    return;
  }
  for (auto& [id, old] : scope_->names) {
    if (id != name) continue;
    old = std::move(value);
    return;
  }
  scope_->names.emplace_back(name, std::move(value));
}

absl::Status Interpreter::Assign(const Target& target, Value value) {
  if (target.attribute != nullptr) return AssignAttribute(target, std::move(value));
  if (target.name >= 0) {
    Set(target.name, std::move(value));
    return absl::OkStatus();
  }
  absl::StatusOr<Values> parts = Iterate(value, runtime_);
  if (!parts.ok()) return At(target.at, parts.status());
  const size_t wanted = target.parts.size();
  if (parts->size() < wanted) {
    return At(target.at, Error("not enough values to unpack (expected ", std::to_string(wanted),
                               ", got ", std::to_string(parts->size()), ")"));
  }
  if (parts->size() > wanted) {
    return At(target.at,
              Error("too many values to unpack (expected ", std::to_string(wanted), ")"));
  }
  for (size_t i = 0; i < wanted; ++i) {
    RETURN_IF_ERROR(Assign(target.parts[i], std::move((*parts)[i])));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::AssignAttribute(const Target& target, Value value) {
  const Value object = Lookup(target.name);
  if (object.kind() != Kind::kNamespace) {
    return At(target.at, Error("cannot assign attribute on non-namespace object"));
  }
  Dict& attributes = object.name_space().attributes;
  absl::Status status = runtime_.SpendInsertion(attributes.size());
  if (status.ok()) status = CheckDepth(value.Depth());
  if (!status.ok()) return At(target.at, status);
  attributes.Set(Value(target.attribute), std::move(value));
  return absl::OkStatus();
}

}  // namespace regatta::jinja
