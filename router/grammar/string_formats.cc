// RFC 3339 (date, time, date-time, duration), 4122 (uuid), 1123 (hostname), 5321 (email), 3986
// (uri), 4291 (ipv6) as patterns; see string_formats.h.
#include "router/grammar/string_formats.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace regatta::grammar {
namespace {

using FormatTable = std::map<std::string, std::string, std::less<>>;

std::string Ipv6() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string pattern = absl::StrCat("(?:", group, ":){7}", group);
  // One "::" with `before` groups in front and at most 7 - `before` behind.
  for (int before = 0; before <= 7; ++before) {
    absl::StrAppend(&pattern, "|");
    if (before == 0) absl::StrAppend(&pattern, ":");
    for (int i = 0; i < before; ++i) absl::StrAppend(&pattern, group, ":");
    absl::StrAppend(&pattern, before == 7 ? ":" : "");
    if (before < 7) absl::StrAppend(&pattern, "(?:(?::", group, "){1,", 7 - before, "}|:)");
  }
  return pattern;
}

FormatTable MakeFormatTable() {
  const std::string date =
      "[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|"
      "30)|02-(?:0[1-9]|1\\d|2[0-8]))";
  const std::string hour = "(?:[01]\\d|2[0-3])", sixty = "[0-5]\\d";
  const std::string time = absl::StrCat(hour, ":", sixty, ":", sixty, "(?:\\.\\d{1,6})?(?:Z|[+-]",
                                        hour, ":", sixty, ")");
  const std::string n = "\\d{1,6}";
  const std::string clock =
      absl::StrCat("T(?:", n, "H(?:", n, "M(?:", n, "S)?)?|", n, "M(?:", n, "S)?|", n, "S)");
  const std::string days =
      absl::StrCat("(?:", n, "Y(?:", n, "M(?:", n, "D)?)?|", n, "M(?:", n, "D)?|", n, "D)");
  const std::string byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  const std::string label = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*";
  const std::string host = absl::StrCat(label, "(?:\\.", label, ")*");
  const std::string atom = "[A-Za-z0-9_+-]+";
  const std::string path = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*";
  const std::string hex = "[0-9a-fA-F]";
  return {
      {"date", date},
      {"time", time},
      {"date-time", absl::StrCat(date, "T", time)},
      {"duration", absl::StrCat("P(?:", days, "(?:", clock, ")?|", clock, "|", n, "W)")},
      {"uuid", absl::StrCat(hex, "{8}-", hex, "{4}-", hex, "{4}-", hex, "{4}-", hex, "{12}")},
      {"ipv4", absl::StrCat(byte, "(?:\\.", byte, "){3}")},
      {"ipv6", Ipv6()},
      {"hostname", host},
      {"email", absl::StrCat(atom, "(?:\\.", atom, ")*@", label, "(?:\\.", label, ")+")},
      {"uri", absl::StrCat("[A-Za-z][A-Za-z0-9+.-]{0,20}://", host, "(?::[1-9]\\d{0,3})?(?:/", path,
                           ")*(?:\\?", path, ")?(?:#", path, ")?")},
  };
}

const FormatTable& Formats() {
  static const auto& table = *new FormatTable(MakeFormatTable());
  return table;
}

}  // namespace

std::optional<std::string> FormatPattern(std::string_view format) {
  const auto found = Formats().find(format);
  if (found == Formats().end()) return std::nullopt;
  return absl::StrCat("^(?:", found->second, ")$");
}

std::string FormatNames() {
  return absl::StrJoin(Formats(), ", ",
                       [](std::string* out, const auto& entry) { out->append(entry.first); });
}

}  // namespace regatta::grammar
