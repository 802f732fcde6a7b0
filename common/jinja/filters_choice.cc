// Filters that apply a filter, a test or an attribute to every item.
#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/filters.h"
#include "common/jinja/operators.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

// Arguments behind the first `count` positional ones.
absl::StatusOr<Arguments> Behind(const Arguments& arguments, size_t count, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.Spend(arguments.positional.size() + arguments.named.size()));
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<ptrdiff_t>(count),
                         arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

absl::StatusOr<Value> MapAttribute(Runtime& runtime, const Value& subject,
                                   const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("map", arguments, {"attribute", "default"}, 1));
  ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Make(bound.At(0), runtime));
  ASSIGN_OR_RETURN(Values items, Iterate(subject, runtime));
  for (Value& item : items) {
    ASSIGN_OR_RETURN(item, path.Of(item, runtime, bound.Has(1) ? &bound.At(1) : nullptr));
  }
  return runtime.NewIterator("generator", std::move(items));
}

absl::StatusOr<Value> Map(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  if (arguments.positional.empty()) return MapAttribute(runtime, subject, arguments);
  const Value& name = arguments.positional[0];
  if (!name.IsString()) return Error("map() takes the name of a filter");
  const Builtin filter = FindFilter(name.string());
  if (filter == nullptr) return Error("No filter named '", name.string(), "'.");
  const Runtime::Applying applying(runtime);
  RETURN_IF_ERROR(applying.Check());
  ASSIGN_OR_RETURN(const Arguments rest, Behind(arguments, 1, runtime));
  ASSIGN_OR_RETURN(Values items, Iterate(subject, runtime));
  for (Value& item : items) {
    RETURN_IF_ERROR(runtime.Spend(1));
    ASSIGN_OR_RETURN(item, filter(runtime, item, rest));
  }
  return runtime.NewIterator("generator", std::move(items));
}

// select, reject (the item itself is tested) and selectattr, rejectattr (an attribute of it).
template <bool OfAttribute, bool Wanted>
absl::StatusOr<Value> Choose(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Values& given = arguments.positional;
  std::optional<AttributePath> path;
  if (OfAttribute) {
    if (given.empty()) return Error("Missing parameter for attribute name");
    ASSIGN_OR_RETURN(path, AttributePath::Make(given[0], runtime));
  }
  Builtin test = nullptr;  // truth
  if (given.size() > OfAttribute) {
    const Value& name = given[OfAttribute];
    if (!name.IsString()) return Error("the name of a test must be a string");
    test = FindTest(name.string());
    if (test == nullptr) return Error("No test named '", name.string(), "'.");
  }
  ASSIGN_OR_RETURN(const Arguments rest,
                   Behind(arguments, std::min<size_t>(given.size(), OfAttribute + 1), runtime));
  ASSIGN_OR_RETURN(Values items, Iterate(subject, runtime));
  Values chosen;
  for (Value& item : items) {
    RETURN_IF_ERROR(runtime.Spend(1));
    Value tested = item;
    if (path) {
      ASSIGN_OR_RETURN(tested, path->Of(item, runtime));
    }
    if (test != nullptr) {
      ASSIGN_OR_RETURN(tested, test(runtime, tested, rest));
    }
    if (tested.Truthy() == Wanted) chosen.push_back(std::move(item));
  }
  return runtime.NewIterator("generator", std::move(chosen));
}

constexpr NamedBuiltin kChoiceFilters[] = {{"map", Map},
                                           {"reject", Choose<false, false>},
                                           {"rejectattr", Choose<true, false>},
                                           {"select", Choose<false, true>},
                                           {"selectattr", Choose<true, true>}};

}  // namespace

Builtin FindChoiceFilter(std::string_view name) { return FindIn(kChoiceFilters, name); }

absl::StatusOr<AttributePath> AttributePath::Make(const Value& path, Runtime& runtime) {
  AttributePath made;
  if (path.IsIntegral()) {
    made.parts_.push_back(path);
    return made;
  }
  if (!path.IsString()) return Error("an attribute is named by a string or an integer");
  std::string_view rest = path.string();
  RETURN_IF_ERROR(runtime.Spend(rest.size()));
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool is_index =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (is_index) {
      made.parts_.emplace_back(Integer{std::stol(std::string(part))});
    } else {
      made.parts_.emplace_back(part);
    }
    if (dot == std::string_view::npos) return made;
    rest.remove_prefix(dot + 1);
  }
}

absl::StatusOr<Value> AttributePath::Of(const Value& object, Runtime& runtime,
                                        const Value* fallback) const {
  Value value = object;
  for (const Value& part : parts_) {
    ASSIGN_OR_RETURN(value, GetItem(value, part, runtime));
    if (value.IsUndefined() && fallback != nullptr) value = *fallback;
  }
  return value;
}

}  // namespace regatta::jinja
