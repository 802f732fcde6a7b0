// Bounded parsing and JSON pointers; see schema_document.h.
#include "router/grammar/schema_document.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "router/grammar/schema_error.h"

namespace regatta::grammar {
namespace {

// The first `max_bytes`, without half a character at their end.
std::string Beginning(const std::string& text, size_t max_bytes) {
  size_t end = std::min(text.size(), max_bytes);
  while (end > 0 && end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

std::string EscapePointer(const std::string& name) {
  return absl::StrReplaceAll(Beginning(name, 100), {{"~", "~0"}, {"/", "~1"}});
}

// Deepest nesting of brackets outside strings; the text need not be valid.
int Depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

// Undoes %XX, which JSON pointers in URIs may use.
std::string PercentDecode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &value)) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The beginning of a value, for messages.
std::string Shown(const OrderedJson& value) {
  constexpr size_t kMaxShown = 60;
  const std::string text =
      value.dump(-1, ' ', /*ensure_ascii=*/false, OrderedJson::error_handler_t::replace);
  return absl::StrCat(Beginning(text, kMaxShown), text.size() > kMaxShown ? "..." : "");
}

const OrderedJson* Member(const OrderedJson& json, const std::string& name) {
  if (json.is_object()) {
    const auto found = json.find(name);
    return found == json.end() ? nullptr : &*found;
  }
  size_t index = 0;
  if (!json.is_array() || !absl::SimpleAtoi(name, &index) || index >= json.size()) return nullptr;
  return &json[index];
}

}  // namespace

absl::Status Schema::Error(absl::string_view what) const { return SchemaError(pointer, what); }

absl::Status Schema::Error(absl::string_view key, absl::string_view what,
                           absl::StatusCode code) const {
  const std::string place = absl::StrCat(pointer, "/", EscapePointer(std::string(key)));
  const OrderedJson* value = Member(json, std::string(key));
  if (value == nullptr) return SchemaError(place, what, code);
  return SchemaError(place, absl::StrCat(what, "; it is ", Shown(*value)), code);
}

Schema Schema::At(const std::string& key) const {
  return {json.at(key), absl::StrCat(pointer, "/", EscapePointer(key))};
}

Schema Schema::At(const std::string& key, const std::string& name) const {
  return {json.at(key).at(name),
          absl::StrCat(pointer, "/", EscapePointer(key), "/", EscapePointer(name))};
}

Schema Schema::At(const std::string& key, size_t index) const {
  return {json.at(key).at(index), absl::StrCat(pointer, "/", EscapePointer(key), "/", index)};
}

absl::StatusOr<SchemaDocument> SchemaDocument::Parse(std::string_view text) {
  if (text.size() > kMaxSchemaBytes) {
    return SchemaError("#",
                       absl::StrCat("has ", text.size(), " bytes, the limit is ", kMaxSchemaBytes));
  }
  if (const int depth = Depth(text); depth > kMaxSchemaDepth) {
    return SchemaError("#",
                       absl::StrCat("is nested ", depth, " deep, the limit is ", kMaxSchemaDepth));
  }
  OrderedJson root = OrderedJson::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) {
    return SchemaError("#", "is not valid JSON");
  }
  return SchemaDocument(std::move(root));
}

absl::StatusOr<Schema> SchemaDocument::Resolve(const std::string& reference) const {
  const absl::Status unknown = absl::InvalidArgumentError(
      "points to nothing: only \"#\" and \"#/...\" within the schema work");
  if (reference == "#") return Root();
  if (reference.substr(0, 2) != "#/") return unknown;
  const OrderedJson* json = &root_;
  std::string pointer = "#";
  for (absl::string_view part : absl::StrSplit(absl::string_view(reference).substr(2), '/')) {
    const std::string name = absl::StrReplaceAll(PercentDecode(part), {{"~1", "/"}, {"~0", "~"}});
    json = Member(*json, name);
    if (json == nullptr) return unknown;
    absl::StrAppend(&pointer, "/", EscapePointer(name));
  }
  return Schema{*json, std::move(pointer)};
}

}  // namespace regatta::grammar
