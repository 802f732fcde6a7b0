// Protocol buffers' wire format, as far as this one message needs it.
// Source: protobuf.dev/programming-guides/encoding.
#include "common/text/sentencepiece_model.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

struct Field {
  uint32_t number = 0;
  uint32_t wire = 0;
  uint64_t value = 0;      // Of varints and fixed numbers.
  std::string_view bytes;  // Of strings and messages.
};

// Reads the fields of one message in order.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message), size_(message.size()) {}

  bool Done() const { return rest_.empty(); }

  absl::StatusOr<Field> Next() {
    Field field;
    ASSIGN_OR_RETURN(uint64_t key, Varint());
    field.number = static_cast<uint32_t>(key >> 3);
    field.wire = static_cast<uint32_t>(key & 7);
    if (field.wire == kVarint) {
      ASSIGN_OR_RETURN(field.value, Varint());
    } else if (field.wire == kFixed32 || field.wire == kFixed64) {
      size_t size = field.wire == kFixed32 ? 4 : 8;
      if (rest_.size() < size) return Error("ends within a number");
      std::memcpy(&field.value, rest_.data(), size);  // Little-endian, as every machine of ours.
      rest_.remove_prefix(size);
    } else if (field.wire == kBytes) {
      ASSIGN_OR_RETURN(uint64_t size, Varint());
      if (size > rest_.size()) return Error("ends within a field");
      field.bytes = rest_.substr(0, size);
      rest_.remove_prefix(size);
    } else {
      return Error(absl::StrCat("has wire type ", field.wire));
    }
    return field;
  }

 private:
  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("not a sentencepiece model: ", what, " at byte ", size_ - rest_.size()));
  }

  absl::StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return Error("has no end of a number");
  }

  std::string_view rest_;
  const size_t size_;
};

absl::StatusOr<SentencePieceModel::Piece> ParsePiece(std::string_view message) {
  SentencePieceModel::Piece piece;
  for (WireReader reader(message); !reader.Done();) {
    ASSIGN_OR_RETURN(Field field, reader.Next());
    if (field.number == 1 && field.wire == kBytes) piece.text = field.bytes;
    if (field.number == 2 && field.wire == kFixed32) std::memcpy(&piece.score, &field.value, 4);
    if (field.number != 3 || field.wire != kVarint) continue;
    if (field.value < 1 || field.value > 6) {
      return absl::InvalidArgumentError(
          absl::StrCat("piece \"", piece.text, "\" has type ", field.value, ", must be 1 to 6"));
    }
    piece.type = static_cast<SentencePieceModel::PieceType>(field.value);
  }
  return piece;
}

absl::Status ParseTrainer(std::string_view message, SentencePieceModel& model) {
  for (WireReader reader(message); !reader.Done();) {
    ASSIGN_OR_RETURN(Field field, reader.Next());
    if (field.wire != kVarint) continue;
    switch (field.number) {
      case 3:
        model.type = static_cast<SentencePieceModel::ModelType>(field.value);
        break;
      case 24:
        model.space_is_suffix = field.value != 0;
        break;
      case 35:
        model.byte_fallback = field.value != 0;
        break;
      case 41:
        model.bos_id = static_cast<int32_t>(field.value);
        break;
      case 42:
        model.eos_id = static_cast<int32_t>(field.value);
        break;
      default:
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status ParseNormalizer(std::string_view message, SentencePieceModel& model) {
  for (WireReader reader(message); !reader.Done();) {
    ASSIGN_OR_RETURN(Field field, reader.Next());
    if (field.number == 2 && !field.bytes.empty()) model.normalizes = true;
    if (field.wire != kVarint) continue;
    if (field.number == 3) model.add_dummy_prefix = field.value != 0;
    if (field.number == 4) model.remove_extra_spaces = field.value != 0;
    if (field.number == 5) model.escape_spaces = field.value != 0;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SentencePieceModel> ParseSentencePieceModel(std::string_view bytes) {
  SentencePieceModel model;
  for (WireReader reader(bytes); !reader.Done();) {
    ASSIGN_OR_RETURN(Field field, reader.Next());
    if (field.wire != kBytes) continue;
    if (field.number == 1) {
      ASSIGN_OR_RETURN(SentencePieceModel::Piece piece, ParsePiece(field.bytes));
      model.pieces.push_back(std::move(piece));
    } else if (field.number == 2) {
      RETURN_IF_ERROR(ParseTrainer(field.bytes, model));
    } else if (field.number == 3) {
      RETURN_IF_ERROR(ParseNormalizer(field.bytes, model));
    } else if (field.number == 5) {  // The denormaliser, whose other fields do not matter.
      SentencePieceModel denormalizer;
      RETURN_IF_ERROR(ParseNormalizer(field.bytes, denormalizer));
      model.normalizes = model.normalizes || denormalizer.normalizes;
    }
  }
  if (model.pieces.empty()) {
    return absl::InvalidArgumentError("not a sentencepiece model: it has no pieces");
  }
  if (model.pieces.size() > static_cast<size_t>(kTokenIdLimit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", model.pieces.size(), " pieces, the limit is ", kTokenIdLimit));
  }
  return model;
}

}  // namespace regatta
