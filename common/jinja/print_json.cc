// json.dumps.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "common/jinja/errors.h"
#include "common/jinja/print.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Runtime& runtime, std::string& out)
      : style_(style), runtime_(runtime), out_(out) {}

  absl::Status Write(const Value& value, int level) {
    RETURN_IF_ERROR(runtime_.Spend(1));
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), 0));
    if (value.IsString()) return WriteString(value.string());
    if (value.IsDict()) return WriteDict(value.dict(), level);
    if (value.IsSequence()) {
      const Sequence& sequence = value.sequence();
      if (sequence.type == Sequence::Type::kList || sequence.type == Sequence::Type::kTuple) {
        return WriteList(sequence.items, level);
      }
    }
    return WriteScalar(value);
  }

 private:
  absl::Status WriteScalar(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        return absl::OkStatus();
      case Kind::kBool:
        out_ += value.Truthy() ? "true" : "false";
        return absl::OkStatus();
      case Kind::kInteger:
        out_ += IntegerText(value.integer());
        return absl::OkStatus();
      case Kind::kFloat:
        out_ += FloatName(value.number());
        return absl::OkStatus();
      default:
        return Error("Object of type ", value.TypeName(), " is not JSON serializable");
    }
  }

  static std::string FloatName(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatText(value);
  }

  absl::Status WriteString(std::string_view text) {
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), text.size()));
    out_.push_back('"');
    for (size_t i = 0, length; i < text.size(); i += length) {
      char32_t c = DecodeFirst(text.substr(i), &length);
      WriteCodePoint(c, text.substr(i, length));
    }
    out_.push_back('"');
    return absl::OkStatus();
  }

  void WriteCodePoint(char32_t c, std::string_view bytes) {
    static constexpr std::pair<char32_t, const char*> kNamed[] = {
        {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
        {'\t', "\\t"}, {'\b', "\\b"},  {'\f', "\\f"}};
    for (const auto& [named, escape] : kNamed) {
      if (c == named) {
        out_ += escape;
        return;
      }
    }
    if (c >= 0x20 && (c < 0x7F || !style_.ensure_ascii || c == 0x7F)) {
      out_.append(bytes);
    } else if (c < 0x10000) {
      WriteUnit(c);
    } else {
      WriteUnit(0xD800 + ((c - 0x10000) >> 10));
      WriteUnit(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }

  void WriteUnit(char32_t unit) {
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(unit) & 0xFFFF);
    out_ += escape;
  }

  absl::Status Append(std::string_view text) {
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), text.size()));
    out_ += text;
    return absl::OkStatus();
  }

  absl::Status NewLine(int level) {
    if (!style_.multiline) return absl::OkStatus();
    out_.push_back('\n');
    for (int i = 0; i < level; ++i) RETURN_IF_ERROR(Append(style_.indent));
    return absl::OkStatus();
  }

  absl::Status WriteList(const Values& items, int level) {
    out_.push_back('[');
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) RETURN_IF_ERROR(Append(style_.item_separator));
      RETURN_IF_ERROR(NewLine(level + 1));
      RETURN_IF_ERROR(Write(items[i], level + 1));
    }
    if (!items.empty()) RETURN_IF_ERROR(NewLine(level));
    out_.push_back(']');
    return absl::OkStatus();
  }

  absl::Status WriteDict(const Dict& dict, int level) {
    std::vector<const Dict::Item*> items;
    for (const Dict::Item& item : dict.items()) items.push_back(&item);
    if (style_.sort_keys) RETURN_IF_ERROR(SortByKey(items));
    out_.push_back('{');
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) RETURN_IF_ERROR(Append(style_.item_separator));
      RETURN_IF_ERROR(NewLine(level + 1));
      RETURN_IF_ERROR(WriteKey(items[i]->first));
      RETURN_IF_ERROR(Append(style_.key_separator));
      RETURN_IF_ERROR(Write(items[i]->second, level + 1));
    }
    if (!items.empty()) RETURN_IF_ERROR(NewLine(level));
    out_.push_back('}');
    return absl::OkStatus();
  }

  absl::Status SortByKey(std::vector<const Dict::Item*>& items) {
    for (const Dict::Item* item : items) {
      if (!item->first.IsString()) return Error("sort_keys takes string keys only");
    }
    RETURN_IF_ERROR(runtime_.Spend(items.size() * 4));
    std::stable_sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
      return a->first.string() < b->first.string();
    });
    return absl::OkStatus();
  }

  absl::Status WriteKey(const Value& key) {
    if (key.IsString()) return WriteString(key.string());
    if (!key.IsNumber() && !key.IsNone()) {
      return Error("keys must be str, int, float, bool or None, not ", key.TypeName());
    }
    out_.push_back('"');
    RETURN_IF_ERROR(WriteScalar(key));
    out_.push_back('"');
    return absl::OkStatus();
  }

  const JsonStyle& style_;
  Runtime& runtime_;
  std::string& out_;
};

}  // namespace

absl::Status AppendJson(const Value& value, const JsonStyle& style, Runtime& runtime,
                        std::string& out) {
  RETURN_IF_ERROR(JsonWriter(style, runtime, out).Write(value, 0));
  return runtime.SpendAppend(out.size(), 0);  // Escapes are longer than what they stand for.
}

}  // namespace regatta::jinja
