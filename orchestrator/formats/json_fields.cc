// Checked access to JSON; see json_fields.h.
#include "orchestrator/formats/json_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/json_text.h"

namespace regatta {
namespace {

using nlohmann::json;

const json& EmptyObject() {
  static const json* const kEmpty = new json(json::object());
  return *kEmpty;
}

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Python's json module writes numbers that JSON does not have. Outside strings they become null.
std::string WithoutNonFinite(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    bool replaced = false;
    for (absl::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (in_string || replaced || text.substr(i, word.size()) != word) continue;
      if (i + word.size() < text.size() && IsWordByte(text[i + word.size()])) continue;
      out += "null";
      i += word.size() - 1;
      replaced = true;
    }
    if (!replaced) out += c;
  }
  return out;
}

// A scalar as it stands, anything else by its type: errors stay short whatever was written.
std::string Quoted(const json& value) {
  constexpr size_t kMost = 60;
  if (value.is_structured()) return absl::StrCat("an ", value.type_name());
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

}  // namespace

absl::StatusOr<json> ParseImportedJson(absl::string_view text, const std::string& source) {
  if (text.size() > kMaxImportBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": has ", text.size(), " bytes, must have at most ", kMaxImportBytes));
  }
  absl::StatusOr<json> parsed = ParseJson(WithoutNonFinite(text));
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat(source, ": is ", parsed.status().message()));
}

JsonFields::JsonFields(const json& object, std::string where, absl::Status& status)
    : object_(object), where_(std::move(where)), status_(status) {
  if (!object.is_object() && status_.ok()) {
    status_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": is ", Quoted(object), ", must be an object"));
  }
}

const json* JsonFields::Find(absl::string_view key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(std::string(key));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool JsonFields::Has(absl::string_view key) const { return Find(key) != nullptr; }

void JsonFields::Complain(absl::string_view key, const json& value, absl::string_view must) const {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(
      absl::StrCat(where_, ": '", key, "' is ", Quoted(value), ", must be ", must));
}

double JsonFields::NumberOf(absl::string_view key, const json& value) const {
  const double number = value.is_number() ? value.get<double>() : -1;
  if (number >= 0 && number <= kMaxImportNumber) return number;
  Complain(key, value, absl::StrCat("a number in 0..", kMaxImportNumber));
  return 0;
}

std::optional<double> JsonFields::MaybeNumber(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  return NumberOf(key, *value);
}

double JsonFields::Number(absl::string_view key) const {
  const std::optional<double> number = MaybeNumber(key);
  if (!number.has_value() && status_.ok()) {
    status_ = absl::InvalidArgumentError(
        absl::StrCat(where_, ": has no '", key, "', which must be a number"));
  }
  return number.value_or(0);
}

double JsonFields::NumberOr(absl::string_view key, double missing) const {
  return MaybeNumber(key).value_or(missing);
}

double JsonFields::NumberOrInf(absl::string_view key, double missing) const {
  if (!object_.is_object() || !object_.contains(std::string(key))) return missing;
  const json* value = Find(key);
  if (value == nullptr || *value == "inf") return std::numeric_limits<double>::infinity();
  return NumberOf(key, *value);
}

uint32_t JsonFields::CountFrom(uint32_t least, absl::string_view key, uint32_t missing) const {
  constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
  const json* value = Find(key);
  if (value == nullptr) return missing;
  const double number = value->is_number() ? value->get<double>() : -1;
  if (number >= least && number <= kMost && number == std::floor(number)) {
    return static_cast<uint32_t>(number);
  }
  Complain(key, *value, absl::StrCat("a whole number in ", least, "..", kMost));
  return missing;
}

uint32_t JsonFields::CountOr(absl::string_view key, uint32_t missing) const {
  return CountFrom(0, key, missing);
}

uint32_t JsonFields::PositiveCountOr(absl::string_view key, uint32_t missing) const {
  return CountFrom(1, key, missing);
}

uint32_t JsonFields::LooseCountOr(absl::string_view key, uint32_t missing) const {
  const json* value = Find(key);
  uint32_t number = 0;
  if (value != nullptr && value->is_string() &&
      absl::SimpleAtoi(value->get_ref<const std::string&>(), &number)) {
    return number;
  }
  return CountOr(key, missing);
}

bool JsonFields::Flag(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return false;
  if (value->is_boolean()) return value->get<bool>();
  Complain(key, *value, "true or false");
  return false;
}

std::string JsonFields::TextOr(absl::string_view key, const std::string& missing) const {
  const json* value = Find(key);
  if (value == nullptr) return missing;
  if (value->is_string() && value->get_ref<const std::string&>().size() <= kMaxImportText) {
    return value->get<std::string>();
  }
  Complain(key, *value, absl::StrCat("a text of at most ", kMaxImportText, " bytes"));
  return missing;
}

std::string JsonFields::WordOr(absl::string_view key, const std::string& missing,
                               absl::Span<const char* const> words) const {
  const std::string word = TextOr(key, "");
  if (word.empty()) return missing;
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  Complain(key, *Find(key), absl::StrCat("one of ", absl::StrJoin(words, ", ")));
  return missing;
}

std::vector<double> JsonFields::Numbers(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_array() || value->size() > kMaxImportRequests) {
    Complain(key, *value, absl::StrCat("an array of at most ", kMaxImportRequests, " numbers"));
    return {};
  }
  std::vector<double> numbers;
  numbers.reserve(value->size());
  for (const json& element : *value) {
    numbers.push_back(element.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                        : NumberOf(key, element));
  }
  return numbers;
}

std::vector<std::string> JsonFields::Texts(absl::string_view key) const {
  const json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_array() || value->size() > kMaxImportRequests) {
    Complain(key, *value, absl::StrCat("an array of at most ", kMaxImportRequests, " texts"));
    return {};
  }
  std::vector<std::string> texts;
  for (const json& element : *value) {
    if (!element.is_string() && !element.is_null()) Complain(key, element, "an array of texts");
    texts.push_back(element.is_string() ? element.get<std::string>().substr(0, kMaxImportText)
                                        : "");
  }
  return texts;
}

void JsonFields::Refuse(absl::string_view key, absl::string_view must) const {
  const json* value = Find(key);
  Complain(key, value == nullptr ? json() : *value, must);
}

JsonFields JsonFields::Object(absl::string_view key) const {
  const json* value = Find(key);
  return JsonFields(value == nullptr ? EmptyObject() : *value, absl::StrCat(where_, ": ", key),
                    status_);
}

}  // namespace regatta
