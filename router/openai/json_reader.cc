// nlohmann-json's parser in SAX style; this file builds the document, counts and compares keys.
#include "router/openai/json_reader.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "router/openai/json_text.h"

namespace regatta {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kMaxShownKey = 64;

class DocumentBuilder final : public nlohmann::json_sax<OrderedJson> {
 public:
  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t&) override { return Add(value); }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none.
  bool start_object(size_t) override { return Open(OrderedJson::object()); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(OrderedJson::array()); }
  bool end_array() override { return Close(); }

  bool key(string_t& key) override {
    if (++keys_ > kMaxJsonKeys) return Fail(absl::StrCat("more than ", kMaxJsonKeys, " keys"));
    if (!open_.back().keys.insert(key).second) {
      return Fail(absl::StrCat("the key \"", absl::Utf8SafeCHexEscape(key.substr(0, kMaxShownKey)),
                               "\" is given twice"),
                  PathOfOpen());
    }
    key_ = std::move(key);
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    const bool range = error.id == 406;  // nlohmann-json's number_overflow
    return Fail(
        absl::StrCat(range ? "a number is too large" : "not valid JSON", " at byte ", position));
  }

  absl::StatusOr<OrderedJson> Take(bool complete) {
    if (complete) return std::move(root_);
    return absl::InvalidArgumentError(absl::StrCat(place_, ": ", error_));
  }

 private:
  struct Level {
    OrderedJson* value;
    absl::flat_hash_set<std::string> keys;  // of an object
  };

  // Appends in constant time: ordered_json's own insertion would look at every key before.
  OrderedJson* Place(OrderedJson value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    OrderedJson& parent = *open_.back().value;
    if (parent.is_array()) {
      auto& elements = parent.get_ref<OrderedJson::array_t&>();
      return &elements.emplace_back(std::move(value));
    }
    OrderedJson::object_t::Container& members = parent.get_ref<OrderedJson::object_t&>();
    return &members.emplace_back(std::move(key_), std::move(value)).second;
  }

  bool Add(OrderedJson value) {
    Place(std::move(value));
    return true;
  }

  // A level's pointer stays valid: its parent grows only after the level has been closed.
  bool Open(OrderedJson value) {
    if (open_.size() >= kMaxJsonDepth) {
      return Fail(absl::StrCat("nested more than ", kMaxJsonDepth, " levels deep"));
    }
    open_.push_back({.value = Place(std::move(value)), .keys = {}});
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  bool Fail(std::string what, std::string place = "body") {
    if (error_.empty()) {
      error_ = std::move(what);
      place_ = std::move(place);
    }
    return false;
  }

  // Of the innermost value that is being read, as in "messages[0]"; "body" for the whole.
  std::string PathOfOpen() const {
    std::string path;
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      const OrderedJson& value = *open_[i].value;
      if (value.is_array()) {
        absl::StrAppend(&path, "[", value.size() - 1, "]");
      } else {
        const std::string& key = value.get_ref<const OrderedJson::object_t&>().back().first;
        AppendPathName(std::string_view(key).substr(0, kMaxShownKey), path);
      }
    }
    return path.empty() ? "body" : path;
  }

  OrderedJson root_;
  std::vector<Level> open_;
  std::string key_;
  size_t keys_ = 0;
  std::string error_;
  std::string place_;
};

}  // namespace

absl::StatusOr<OrderedJson> ReadJson(std::string_view body) {
  if (body.empty()) return absl::InvalidArgumentError("body: is empty; expected JSON");
  if (body.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    return absl::InvalidArgumentError("body: begins with a byte order mark");
  }
  // The parser below takes a NUL for the end.
  if (const size_t nul = body.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("body: a NUL at byte ", nul));
  }
  DocumentBuilder builder;
  const bool complete = OrderedJson::sax_parse(body.begin(), body.end(), &builder,
                                               OrderedJson::input_format_t::json, /*strict=*/true);
  return builder.Take(complete);
}

}  // namespace regatta
