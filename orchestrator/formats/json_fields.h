// Reads fields of JSON that others wrote: what is missing, of a wrong type or out of range is
// named.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace regatta {

// Most bytes of one imported file; more is not a summary.
inline constexpr size_t kMaxImportBytes = size_t{1} << 28;
// Most points of one import, most requests of a file, longest text that is taken over.
inline constexpr size_t kMaxImportPoints = 10'000;
inline constexpr size_t kMaxImportRequests = 10'000'000;
inline constexpr size_t kMaxImportText = 4096;
// No figure of a benchmark is above it, nanoseconds since 1970 among them.
inline constexpr double kMaxImportNumber = 1e19;

// `source` names the text in errors: INVALID_ARGUMENT with the place that is no JSON. NaN and
// Infinity, which Python writes, are read as null.
absl::StatusOr<nlohmann::json> ParseImportedJson(absl::string_view text, const std::string& source);

// The fields of one object. The first problem is kept; readers that follow return defaults, so that
// a whole object is read without looking at each step. A null field counts as missing.
class JsonFields {
 public:
  // `object` and `status` must outlive it. `where` begins errors: "vllm.json".
  JsonFields(const nlohmann::json& object, std::string where, absl::Status& status);

  bool Has(absl::string_view key) const;
  // Finite numbers from 0 to kMaxImportNumber.
  std::optional<double> MaybeNumber(absl::string_view key) const;
  double Number(absl::string_view key) const;  // must be there
  double NumberOr(absl::string_view key, double missing) const;
  // Infinity where the value is "inf", or null, as which Python's Infinity is read.
  double NumberOrInf(absl::string_view key, double missing) const;
  // Whole numbers from 0 to 2^32 - 1.
  uint32_t CountOr(absl::string_view key, uint32_t missing) const;
  uint32_t PositiveCountOr(absl::string_view key, uint32_t missing) const;  // from 1
  // The same, also from a string such as "8": metadata of command lines.
  uint32_t LooseCountOr(absl::string_view key, uint32_t missing) const;
  // False when missing.
  bool Flag(absl::string_view key) const;
  std::string TextOr(absl::string_view key, const std::string& missing) const;
  // One of `words`; an empty text counts as missing.
  std::string WordOr(absl::string_view key, const std::string& missing,
                     absl::Span<const char* const> words) const;
  // Empty when missing; a null element reads as NaN.
  std::vector<double> Numbers(absl::string_view key) const;
  std::vector<std::string> Texts(absl::string_view key) const;
  // Of a value that was read and contradicts others: the problem is that it must be `must`.
  void Refuse(absl::string_view key, absl::string_view must) const;
  // Fields of an object within; without any when it is missing.
  JsonFields Object(absl::string_view key) const;

 private:
  uint32_t CountFrom(uint32_t least, absl::string_view key, uint32_t missing) const;
  const nlohmann::json* Find(absl::string_view key) const;
  void Complain(absl::string_view key, const nlohmann::json& value, absl::string_view must) const;
  double NumberOf(absl::string_view key, const nlohmann::json& value) const;

  const nlohmann::json& object_;
  std::string where_;
  absl::Status& status_;
};

}  // namespace regatta
