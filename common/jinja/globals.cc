// Functions of every template: Jinja's range, dict and namespace, and those that transformers adds.
#include <time.h>

#include <string>

#include "common/jinja/callable.h"
#include "common/jinja/errors.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

using Function = absl::StatusOr<Value> (*)(Runtime& runtime, const Arguments& arguments);

class GlobalFunction final : public Callable {
 public:
  explicit GlobalFunction(Function function) : Callable(0), function_(function) {}
  absl::StatusOr<Value> Call(Runtime& runtime, const Arguments& arguments) const override {
    return function_(runtime, arguments);
  }

 private:
  const Function function_;
};

// The sandbox's limit, MAX_RANGE.
constexpr Integer kMaxRange = 100'000;

absl::StatusOr<Value> Range(Runtime& runtime, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("range", arguments, {"start", "stop", "step"}, 1));
  ASSIGN_OR_RETURN(const int64_t first, bound.Int(0, 0));
  ASSIGN_OR_RETURN(const int64_t second, bound.Int(1, 0));
  ASSIGN_OR_RETURN(const int64_t step, bound.Int(2, 1));
  const Integer start = bound.Has(1) ? first : 0, stop = bound.Has(1) ? second : first;
  if (step == 0) return Error("range() arg 3 must not be zero");
  const Integer distance = step > 0 ? stop - start : start - stop;
  const Integer stride = step > 0 ? Integer{step} : -Integer{step};
  const Integer count = distance > 0 ? (distance + stride - 1) / stride : 0;
  if (count > kMaxRange) {
    return Error("Range too big. The sandbox blocks ranges larger than ",
                 std::to_string(static_cast<int64_t>(kMaxRange)), ".");
  }
  RETURN_IF_ERROR(runtime.Spend(static_cast<size_t>(count)));
  Values items;
  for (Integer i = 0; i < count; ++i) items.emplace_back(start + i * step);
  return runtime.NewSequence(Sequence::Type::kRange, std::move(items));
}

// dict(mapping, **more) and namespace(mapping, **more).
absl::StatusOr<Dict> Merged(const char* callee, Runtime& runtime, const Arguments& arguments) {
  Dict merged;
  if (arguments.positional.size() > 1) return Error(callee, " expected at most 1 argument");
  for (const Value& given : arguments.positional) {
    if (!given.IsDict()) return Error(callee, "() takes a mapping, not '", given.TypeName(), "'");
    RETURN_IF_ERROR(runtime.Spend(given.dict().size()));
    merged = given.dict();
  }
  for (const auto& [name, value] : arguments.named) {
    RETURN_IF_ERROR(runtime.SpendInsertion(merged.size()));
    merged.Set(Value(name), value);
  }
  return merged;
}

absl::StatusOr<Value> MakeDict(Runtime& runtime, const Arguments& arguments) {
  ASSIGN_OR_RETURN(Dict dict, Merged("dict", runtime, arguments));
  return runtime.NewDict(std::move(dict));
}

absl::StatusOr<Value> MakeNamespace(Runtime& runtime, const Arguments& arguments) {
  ASSIGN_OR_RETURN(Dict attributes, Merged("namespace", runtime, arguments));
  RETURN_IF_ERROR(CheckDepth(attributes.depth()));
  return runtime.NewNamespace(std::move(attributes));
}

absl::StatusOr<Value> RaiseException(Runtime&, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("raise_exception", arguments, {"message"}, 1));
  ASSIGN_OR_RETURN(const std::string_view message, bound.String(0, ""));
  return Error(message);
}

// Local time, as datetime.now().
absl::StatusOr<Value> StrftimeNow(Runtime& runtime, const Arguments& arguments) {
  constexpr size_t kMaxFormat = 256;
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("strftime_now", arguments, {"format"}, 1));
  ASSIGN_OR_RETURN(const std::string_view format, bound.String(0, ""));
  if (format.size() > kMaxFormat || format.find('\0') != std::string_view::npos) {
    return Error("strftime_now() takes a format of at most ", std::to_string(kMaxFormat),
                 " bytes, without NUL");
  }
  const time_t now = runtime.now_s();
  tm parts = {};
  ::localtime_r(&now, &parts);
  // A byte in front, as an empty result cannot be told from one that did not fit.
  std::string text(16 * kMaxFormat, '\0');
  const size_t size =
      ::strftime(text.data(), text.size(), (" " + std::string(format)).c_str(), &parts);
  if (size == 0) return Error("strftime_now() makes too long a text of its format");
  return Value(text.substr(1, size - 1));
}

struct Entry {
  const char* name;
  Function function;
};
constexpr Entry kFunctions[] = {{"range", Range},
                                {"dict", MakeDict},
                                {"namespace", MakeNamespace},
                                {"raise_exception", RaiseException},
                                {"strftime_now", StrftimeNow}};

}  // namespace

std::optional<Value> FindGlobal(std::string_view name) {
  for (const Entry& entry : kFunctions) {
    if (name == entry.name) return Value(std::make_shared<const GlobalFunction>(entry.function));
  }
  return std::nullopt;
}

}  // namespace regatta::jinja
