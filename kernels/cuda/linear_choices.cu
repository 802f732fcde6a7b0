// Keeping and telling choices; see linear_choices.h.
#include <cstring>
#include <string>

#include "kernels/cuda/linear_choices.h"

namespace regatta {
namespace {

struct Record {
  LinearShape shape;
  LinearChoice choice;
};

}  // namespace

int32_t TokenClass(int64_t tokens) {
  int64_t power = 1;
  while (power < tokens) power *= 2;
  // 1, 2, 3, 4, 6, 8, 12, ... 512, then eight to each power of two, as tiles fill the device less
  // evenly than a third more tokens would tell: 576, 640, ... 1024, 1152, ...
  const int64_t step = power > 512 ? power / 16 : power >= 4 ? power / 4 : 1;
  return static_cast<int32_t>((tokens + step - 1) / step * step);
}

std::optional<LinearChoice> LinearChoices::Find(const LinearShape& shape) const {
  const auto choice = choices_.find(shape);
  if (choice == choices_.end()) return std::nullopt;
  return choice->second;
}

void LinearChoices::Set(const LinearShape& shape, const LinearChoice& choice) {
  choices_.insert_or_assign(shape, choice);
}

std::string LinearChoices::Header() const {
  return "regatta products 5, " + device_ + ", cuBLASLt " + std::to_string(library_) + "\n";
}

std::string LinearChoices::Export() const {
  std::string bytes = Header();
  for (const auto& [shape, choice] : choices_) {
    const Record record{shape, choice};
    bytes.append(reinterpret_cast<const char*>(&record), sizeof(record));
  }
  return bytes;
}

bool LinearChoices::Import(const std::string& bytes) {
  const std::string header = Header();
  if (bytes.compare(0, header.size(), header) != 0) return false;
  const size_t records = bytes.size() - header.size();
  if (records % sizeof(Record) != 0) return false;
  for (size_t at = header.size(); at < bytes.size(); at += sizeof(Record)) {
    Record record;
    std::memcpy(&record, bytes.data() + at, sizeof(record));
    Set(record.shape, record.choice);
  }
  return true;
}

}  // namespace regatta
