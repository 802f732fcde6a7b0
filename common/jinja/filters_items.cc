// Filters of sequences as wholes: join, sort, first, sum and their like.
#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/filters.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

Value Nothing(const char* message) {
  return Value(Undefined{.text = std::make_shared<const std::string>(message), .is_message = true});
}

// What items are compared by: an attribute of theirs, texts without case unless asked.
class Key {
 public:
  static absl::StatusOr<Key> Make(const Bound& bound, size_t case_at, size_t attribute_at,
                                  Runtime& runtime) {
    Key key;
    key.folds_ = !bound.Truthy(case_at);
    if (!bound.HasValue(attribute_at)) return key;
    ASSIGN_OR_RETURN(key.path_, AttributePath::Make(bound.At(attribute_at), runtime));
    return key;
  }
  absl::StatusOr<Value> Of(const Value& item, Runtime& runtime) const {
    Value value = item;
    if (path_) {
      ASSIGN_OR_RETURN(value, path_->Of(item, runtime));
    }
    if (!folds_ || !value.IsString()) return value;
    RETURN_IF_ERROR(runtime.SpendText(3 * value.string().size()));
    return Value(ToLower(value.string()));
  }

 private:
  bool folds_ = true;
  std::optional<AttributePath> path_;
};

struct Keyed {
  Value key;
  Value item;
};

// A stable merge sort whose comparisons may fail.
absl::Status SortKeyed(std::vector<Keyed>& items, bool reverse, Runtime& runtime) {
  absl::Status status;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& left, const Keyed& right) {
    if (!status.ok()) return false;
    const absl::StatusOr<bool> less = reverse
                                          ? Compare(CompareOp::kLess, right.key, left.key, runtime)
                                          : Compare(CompareOp::kLess, left.key, right.key, runtime);
    status.Update(less.status());
    return less.ok() && *less;
  });
  return status;
}

absl::StatusOr<Value> Sort(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("sort", arguments, {"reverse", "case_sensitive", "attribute"}));
  ASSIGN_OR_RETURN(const Key key, Key::Make(bound, 1, 2, runtime));
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    ASSIGN_OR_RETURN(Value of_item, key.Of(item, runtime));
    keyed.push_back({std::move(of_item), item});
  }
  RETURN_IF_ERROR(SortKeyed(keyed, bound.Truthy(0), runtime));
  Values sorted;
  for (Keyed& one : keyed) sorted.push_back(std::move(one.item));
  return runtime.NewList(std::move(sorted));
}

absl::StatusOr<Value> DictSort(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("dictsort", arguments, {"case_sensitive", "by", "reverse"}));
  ASSIGN_OR_RETURN(const std::string_view by, bound.String(1, "key"));
  if (by != "key" && by != "value")
    return Error("You can only sort by either \"key\" or \"value\"");
  if (!subject.IsDict()) return Error("'", subject.TypeName(), "' object has no attribute 'items'");
  ASSIGN_OR_RETURN(const Key key, Key::Make(bound, 0, 5, runtime));
  std::vector<Keyed> keyed;
  for (const auto& [name, value] : subject.dict().items()) {
    ASSIGN_OR_RETURN(Value pair, runtime.NewTuple({name, value}));
    ASSIGN_OR_RETURN(Value of_item, key.Of(by == "key" ? name : value, runtime));
    keyed.push_back({std::move(of_item), std::move(pair)});
  }
  RETURN_IF_ERROR(SortKeyed(keyed, bound.Truthy(2), runtime));
  Values sorted;
  for (Keyed& one : keyed) sorted.push_back(std::move(one.item));
  return runtime.NewList(std::move(sorted));
}

absl::StatusOr<Value> Unique(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("unique", arguments, {"case_sensitive", "attribute"}));
  ASSIGN_OR_RETURN(const Key key, Key::Make(bound, 0, 1, runtime));
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  Values seen, kept;
  for (const Value& item : items) {
    ASSIGN_OR_RETURN(Value of_item, key.Of(item, runtime));
    const bool is_tuple = of_item.IsSequence() && of_item.sequence().type == Sequence::Type::kTuple;
    if (!IsHashable(of_item) && !is_tuple) {
      return Error("unhashable type: '", of_item.TypeName(), "'");
    }
    bool known = false;
    for (size_t i = 0; i < seen.size() && !known; ++i) {
      ASSIGN_OR_RETURN(known, Equals(seen[i], of_item, runtime));
    }
    if (known) continue;
    seen.push_back(std::move(of_item));
    kept.push_back(item);
  }
  return runtime.NewIterator("generator", std::move(kept));
}

template <CompareOp Better>
absl::StatusOr<Value> Best(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("min", arguments, {"case_sensitive", "attribute"}));
  ASSIGN_OR_RETURN(const Key key, Key::Make(bound, 0, 1, runtime));
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  if (items.empty()) return Nothing("No aggregated item, sequence was empty.");
  Keyed best{{}, items[0]};
  ASSIGN_OR_RETURN(best.key, key.Of(items[0], runtime));
  for (size_t i = 1; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(Value of_item, key.Of(items[i], runtime));
    ASSIGN_OR_RETURN(const bool better, Compare(Better, of_item, best.key, runtime));
    if (better) best = {std::move(of_item), items[i]};
  }
  return best.item;
}

absl::StatusOr<Value> Sum(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("sum", arguments, {"attribute", "start"}));
  std::optional<AttributePath> path;
  if (bound.HasValue(0)) {
    ASSIGN_OR_RETURN(path, AttributePath::Make(bound.At(0), runtime));
  }
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  Value sum = bound.Has(1) ? bound.At(1) : Value(Integer{0});
  for (Value item : items) {
    if (path) {
      ASSIGN_OR_RETURN(item, path->Of(item, runtime));
    }
    ASSIGN_OR_RETURN(sum, Calculate(BinaryOp::kAdd, sum, item, runtime));
  }
  return sum;
}

absl::StatusOr<Value> Join(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("join", arguments, {"d", "attribute"}));
  std::string separator;
  if (bound.Has(0)) RETURN_IF_ERROR(AppendStr(bound.At(0), runtime, separator));
  std::optional<AttributePath> path;
  if (bound.HasValue(1)) {
    ASSIGN_OR_RETURN(path, AttributePath::Make(bound.At(1), runtime));
  }
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (path) {
      ASSIGN_OR_RETURN(item, path->Of(items[i], runtime));
    }
    RETURN_IF_ERROR(runtime.SpendAppend(text.size(), separator.size()));
    if (i > 0) text += separator;
    RETURN_IF_ERROR(AppendStr(item, runtime, text));
  }
  return Value(std::move(text));
}

absl::StatusOr<Value> First(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("first", arguments, {}).status());
  if (subject.kind() == Kind::kIterator) {  // Takes that one alone.
    Iterator& iterator = subject.iterator();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
    return Nothing("No first item, sequence was empty.");
  }
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  return items.empty() ? Nothing("No first item, sequence was empty.") : items.front();
}

absl::StatusOr<Value> Last(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("last", arguments, {}).status());
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  return items.empty() ? Nothing("No last item, sequence was empty.") : items.back();
}

absl::StatusOr<Value> LengthOf(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("length", arguments, {}).status());
  return Length(subject, runtime);
}

absl::StatusOr<Value> List(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("list", arguments, {}).status());
  ASSIGN_OR_RETURN(Values items, Iterate(subject, runtime));
  return runtime.NewList(std::move(items));
}

absl::StatusOr<Value> Items(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("items", arguments, {}).status());
  Values pairs;
  if (!subject.IsUndefined() && !subject.IsDict()) {
    return Error("Can only get item pairs from a mapping.");
  }
  if (subject.IsDict()) {
    for (const auto& [key, value] : subject.dict().items()) {
      ASSIGN_OR_RETURN(Value pair, runtime.NewTuple({key, value}));
      pairs.push_back(std::move(pair));
    }
  }
  return runtime.NewIterator("generator", std::move(pairs));
}

absl::StatusOr<Value> Reverse(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("reverse", arguments, {}).status());
  if (subject.IsString()) {
    return Slice(subject, Value(None()), Value(None()), Value(Integer{-1}), runtime);
  }
  ASSIGN_OR_RETURN(Values items, Iterate(subject, runtime));
  std::reverse(items.begin(), items.end());
  return runtime.NewIterator("list_reverseiterator", std::move(items));
}

absl::StatusOr<Value> Batch(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("batch", arguments, {"linecount", "fill_with"}, 1));
  ASSIGN_OR_RETURN(const int64_t size, bound.Int(0, 1));
  if (size < 1 || size > 10'000) return Error("batch() takes a line count of 1 to 10000");
  ASSIGN_OR_RETURN(const Values items, Iterate(subject, runtime));
  Values lines, line;
  for (size_t i = 0; i < items.size(); ++i) {
    line.push_back(items[i]);
    const bool last = i + 1 == items.size();
    if (last && bound.HasValue(1)) {
      RETURN_IF_ERROR(runtime.Spend(static_cast<size_t>(size)));
      line.resize(static_cast<size_t>(size), bound.At(1));
    }
    if (!last && line.size() < static_cast<size_t>(size)) continue;
    ASSIGN_OR_RETURN(Value made, runtime.NewList(std::exchange(line, {})));
    lines.push_back(std::move(made));
  }
  return runtime.NewIterator("generator", std::move(lines));
}

constexpr NamedBuiltin kItemFilters[] = {{"batch", Batch},
                                         {"count", LengthOf},
                                         {"dictsort", DictSort},
                                         {"first", First},
                                         {"items", Items},
                                         {"join", Join},
                                         {"last", Last},
                                         {"length", LengthOf},
                                         {"list", List},
                                         {"max", Best<CompareOp::kGreater>},
                                         {"min", Best<CompareOp::kLess>},
                                         {"reverse", Reverse},
                                         {"sort", Sort},
                                         {"sum", Sum},
                                         {"unique", Unique}};

}  // namespace

Builtin FindItemFilter(std::string_view name) { return FindIn(kItemFilters, name); }

}  // namespace regatta::jinja
