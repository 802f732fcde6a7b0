// Streaming parser of the header, then the checks on sizes and places; see safetensors_header.h.
#include "common/checkpoint/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr StoredType kTypes[] = {{"F64", 64},    {"F32", 32},    {"F16", 16},    {"BF16", 16},
                                 {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6},
                                 {"F6_E3M2", 6}, {"F4", 4},      {"C64", 64},    {"I64", 64},
                                 {"U64", 64},    {"I32", 32},    {"U32", 32},    {"I16", 16},
                                 {"U16", 16},    {"I8", 8},      {"U8", 8},      {"BOOL", 8}};

// Names come from the file: shown short and printable.
std::string Shown(absl::string_view name) {
  std::string shown(name.substr(0, 100));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return absl::StrCat("'", shown, name.size() > 100 ? "...'" : "'");
}

// Streams {"name": {"dtype": s, "shape": [n], "data_offsets": [n, n]}, "__metadata__": {s: s}} into
// entries. As a stream because a document tree forgets keys that come twice, and is large.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<TensorEntry> TakeEntries() { return std::move(entries_); }
  const std::string& error() const { return error_; }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) return Go(Place::kTop);
    if (place_ != Place::kTop || key_.empty()) return Unexpected("an object");
    if (key_ == "__metadata__") return Go(Place::kMetadata);
    entries_.push_back({key_});
    seen_fields_.clear();
    offsets_.clear();
    return Go(Place::kTensor);
  }
  bool end_object() override {
    if (place_ == Place::kTensor) return FinishTensor() && Go(Place::kTop);
    return Go(place_ == Place::kMetadata ? Place::kTop : Place::kEnd);
  }
  bool key(string_t& name) override {
    key_ = name;
    if (place_ == Place::kTop) {
      if (name.empty()) return Fail("a tensor has an empty name");
      if (!names_.insert(name).second) return Fail(absl::StrCat(Shown(name), " appears twice"));
    } else if (place_ == Place::kTensor && !seen_fields_.insert(name).second) {
      return Fail(absl::StrCat(Tensor(), " has ", Shown(name), " twice"));
    }
    return true;
  }
  bool start_array(size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") return Go(Place::kShape);
    if (place_ == Place::kTensor && key_ == "data_offsets") return Go(Place::kOffsets);
    return Unexpected("an array");
  }
  bool end_array() override { return Go(Place::kTensor); }
  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || key_ != "dtype") return Unexpected("a string");
    for (const StoredType& type : kTypes) {
      if (value == type.name) entries_.back().type = &type;
    }
    return entries_.back().type != nullptr ||
           Fail(absl::StrCat(Tensor(), " has unknown dtype ", Shown(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kOffsets) {
      offsets_.push_back(value);
      return true;
    }
    if (place_ != Place::kShape) return Unexpected("a number");
    if (value > INT64_MAX) return Fail(absl::StrCat(Tensor(), " has dimension ", value));
    entries_.back().shape.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool number_integer(number_integer_t value) override {
    return Fail(absl::StrCat(Tensor(), " has ", value, "; sizes and offsets are not negative"));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Unexpected(absl::StrCat("the number ", text.substr(0, 40)));
  }
  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("is not valid JSON at byte ", position));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool Go(Place place) {
    place_ = place;
    return true;
  }
  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }
  bool Unexpected(absl::string_view what) {
    return Fail(absl::StrCat("has ", what, " where none belongs, at ", Shown(key_)));
  }
  std::string Tensor() const {
    return entries_.empty() ? "header" : absl::StrCat("tensor ", Shown(entries_.back().name));
  }
  bool FinishTensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (seen_fields_.count(field) == 0) return Fail(absl::StrCat(Tensor(), " has no ", field));
    }
    if (seen_fields_.size() != 3) return Fail(absl::StrCat(Tensor(), " has an unknown field"));
    if (offsets_.size() != 2) return Fail(absl::StrCat(Tensor(), " needs two data_offsets"));
    entries_.back().begin = offsets_[0];
    entries_.back().end = offsets_[1];
    return true;
  }

  Place place_ = Place::kStart;
  std::string key_;
  std::vector<TensorEntry> entries_;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> seen_fields_;  // of the last entry
  std::vector<uint64_t> offsets_;                // of the last entry
  std::string error_;
};

absl::Status CheckSize(const TensorEntry& entry) {
  uint64_t bits = entry.type->bits;
  bool overflow = false;
  for (int64_t dimension : entry.shape) {
    overflow |= __builtin_mul_overflow(bits, static_cast<uint64_t>(dimension), &bits);
  }
  const bool equal =
      entry.begin <= entry.end && bits % 8 == 0 && bits / 8 == entry.end - entry.begin;
  if (equal && !overflow) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor ", Shown(entry.name), " of shape [", absl::StrJoin(entry.shape, ", "), "] and dtype ",
      entry.type->name, " does not fill its bytes ", entry.begin, " to ", entry.end));
}

// Sorted by place, ranges must touch: an overlap would alias weights, a gap hides data.
absl::Status CheckCover(const std::vector<TensorEntry>& entries, uint64_t data_bytes) {
  uint64_t end = 0;
  for (const TensorEntry& entry : entries) {
    if (entry.begin != end) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", Shown(entry.name), " starts at byte ", entry.begin, " of the data; ",
          entry.begin < end ? "the tensor before it ends at " : "a gap follows byte ", end));
    }
    end = entry.end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      end > data_bytes
          ? absl::StrCat("is truncated: tensors need ", end, " bytes, ", data_bytes, " are there")
          : absl::StrCat("has ", data_bytes - end, " bytes behind its last tensor"));
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof(header_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("is truncated: ", file.size(), " bytes hold no header"));
  }
  std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));  // little-endian, as this machine
  file.remove_prefix(sizeof(header_bytes));
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("has a header of ", header_bytes,
                                                   " bytes; at most ", kMaxSafetensorsHeaderBytes));
  }
  if (header_bytes > file.size()) {
    return absl::InvalidArgumentError(absl::StrCat("is truncated: the header has ", header_bytes,
                                                   " bytes, ", file.size(), " are there"));
  }
  const absl::string_view json = file.substr(0, header_bytes);
  if (json.empty() || json.front() != '{') {
    return absl::InvalidArgumentError("has a header that does not start with '{'");
  }
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) {
    return absl::InvalidArgumentError(absl::StrCat("header: ", reader.error()));
  }
  SafetensorsHeader header;
  header.entries = reader.TakeEntries();
  header.data_offset = sizeof(header_bytes) + header_bytes;
  for (const TensorEntry& entry : header.entries) RETURN_IF_ERROR(CheckSize(entry));
  std::sort(header.entries.begin(), header.entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  RETURN_IF_ERROR(CheckCover(header.entries, file.size() - header_bytes));
  return header;
}

}  // namespace regatta
