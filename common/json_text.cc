// Parses without exceptions; a text that fails is read again to learn where. See json_text.h.
#include "common/json_text.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

constexpr size_t kShownToken = 40;  // bytes of what was read last

// Takes everything, keeps the first error.
class ErrorFinder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  size_t position() const { return position_; }  // bytes read, that in error included
  const std::string& message() const { return message_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    position_ = position;
    message_ = error.what();
    return false;
  }

 private:
  size_t position_ = 0;
  std::string message_;
};

// The library's "[json.exception.N] parse error at P: syntax error while parsing object key - W;
// last read: 'T'; expected E" as "W; last read: 'T'; expected E", with the end of T alone.
std::string Reason(absl::string_view message) {
  const size_t prefix = message.find("] ");
  if (prefix != absl::string_view::npos) message.remove_prefix(prefix + 2);
  const size_t dash = message.find(" - ");
  if (absl::StartsWith(message, "parse error") && dash != absl::string_view::npos) {
    message.remove_prefix(dash + 3);
  }
  constexpr absl::string_view kLast = "; last read: '";
  const size_t token = message.find(kLast);
  if (token == absl::string_view::npos) return std::string(message.substr(0, 200));
  const size_t begin = token + kLast.size();
  const size_t end = std::max(begin, std::min(message.rfind("'; expected"), message.rfind('\'')));
  const bool is_long = end - begin > kShownToken;
  return absl::StrCat(message.substr(0, begin), is_long ? "..." : "",
                      message.substr(is_long ? end - kShownToken : begin));
}

absl::Status ErrorIn(absl::string_view text, bool one_line) {
  ErrorFinder finder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  const absl::string_view before =
      text.substr(0, finder.position() > 0 ? finder.position() - 1 : 0);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n') + 1;  // 0 when there is none
  return absl::InvalidArgumentError(
      absl::StrCat("not valid JSON at ", one_line ? "" : absl::StrCat("line ", lines + 1, ", "),
                   "column ", before.size() - line_start + 1, ": ", Reason(finder.message())));
}

absl::StatusOr<nlohmann::json> Parse(absl::string_view text, bool one_line) {
  nlohmann::json document =
      nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return ErrorIn(text, one_line);
  return document;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text) {
  return Parse(text, /*one_line=*/false);
}

absl::StatusOr<nlohmann::json> ParseJsonLine(absl::string_view line) {
  absl::StatusOr<nlohmann::json> document = Parse(line, /*one_line=*/true);
  if (!document.ok() || document->is_object()) return document;
  return absl::InvalidArgumentError(
      absl::StrCat("holds ", document->type_name(), ", expected one JSON object a line"));
}

std::string StringAt(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace regatta
