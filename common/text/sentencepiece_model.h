// The contents of a sentencepiece tokenizer.model. libsentencepiece cannot read it here: it brings
// a protobuf of its own that ends any process which holds another release of protobuf.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// The part of sentencepiece's ModelProto that says how text becomes ids; names, numbers and
// defaults are those of github.com/google/sentencepiece, src/sentencepiece_model.proto.
struct SentencePieceModel {
  enum class PieceType {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
  };
  enum class ModelType { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };

  std::vector<Piece> pieces;  // By id.
  ModelType type = ModelType::kUnigram;
  bool byte_fallback = false;
  bool space_is_suffix = false;  // treat_whitespace_as_suffix
  int32_t bos_id = 1;            // -1: none.
  int32_t eos_id = 2;            // -1: none.
  bool normalizes = false;       // Has precompiled_charsmap, or a denormaliser.
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;  // remove_extra_whitespaces
  bool escape_spaces = true;        // escape_whitespaces
};

// INVALID_ARGUMENT with the place where `bytes` stops being such a model.
absl::StatusOr<SentencePieceModel> ParseSentencePieceModel(std::string_view bytes);

// The tokenizer that transformers makes of tokenizer.model beside tokenizer_config.json and
// added_tokens.json; either text may be empty. UNIMPLEMENTED names what is not supported: models
// other than BPE, character maps.
absl::StatusOr<TokenizerSpec> SpecOfSentencePiece(std::string_view model,
                                                  std::string_view config_json,
                                                  std::string_view added_tokens_json);

}  // namespace regatta
