// Token ids to text, by the decoder of tokenizer.json, all at once or as they come.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/text/pattern_replacer.h"
#include "common/text/tokenizer_spec.h"
#include "common/text/vocabulary.h"

namespace regatta {

// Immutable and safe to share between threads. Movable: views into it stay valid across a move.
class Decoder {
 public:
  // What is held back of one text, by step.
  struct Held {
    std::string text;
    size_t count = 0;  // Of strings or characters, as the step needs.
  };
  struct State {
    std::vector<Held> steps;  // Empty: at the beginning of a text.
  };

  // `vocabulary` must outlive the decoder. UNIMPLEMENTED names a step that is not supported in its
  // place.
  static absl::StatusOr<Decoder> Create(const TokenizerSpec& spec, const Vocabulary& vocabulary);

  // Appends to `out` the text that is certain once `ids` have come. Unknown ids give nothing.
  // Whatever the cuts between calls, the texts together are the same.
  void Append(absl::Span<const int32_t> ids, bool skip_special_tokens, State& state,
              std::string& out) const;

  // The state in the middle of a text, where nothing is held back: what some tokenizers write at
  // the beginning of every text (a space) is not taken off.
  State Middle() const;

  // Appends what is held back; the state begins anew.
  void Finish(State& state, std::string& out) const;

  // Whether `state` holds bytes back about which later ids decide.
  bool HoldsBytes(const State& state) const;

  // Whether tokens are pieces of one string of bytes.
  bool is_byte_level() const {
    return prepared_steps_ < steps_.size() && steps_[prepared_steps_].kind == Kind::kByteLevel;
  }

  // What a token adds in the middle of a text: maybe only a part of a UTF-8 sequence; empty for
  // unknown ids.
  std::string_view TokenBytes(int32_t id) const {
    return id >= 0 && id < vocabulary_->size() ? bytes_[id] : std::string_view();
  }

 private:
  enum class Kind { kByteLevel, kByteFallback, kFuse, kStrip, kReplace, kMetaspace };
  struct Step {
    Kind kind = Kind::kFuse;
    bool fused = false;  // What comes in are parts of one string.
    bool lenient = false;
    DecoderStrip strip;
    std::optional<PatternReplacer> replacer;
    bool drops_first = false;  // Metaspace: the first string loses its replacements.
  };

  static absl::StatusOr<Step> CreateStep(const DecoderStep& spec);
  absl::Status CheckOrder(bool byte_level) const;
  void Prepare();
  std::string InMiddle(std::string text) const;
  void Push(size_t index, std::string_view text, State& state, std::string& out) const;
  void FinishStep(size_t index, State& state, std::string& out) const;
  void PushByteLevel(size_t index, std::string_view bytes, State& state, std::string& out) const;
  void FlushBytes(size_t index, bool finish, State& state, std::string& out) const;
  void PushStrip(size_t index, std::string_view text, State& state, std::string& out) const;
  void StripStream(size_t index, std::string_view text, State& state, std::string& out) const;

  const Vocabulary* vocabulary_ = nullptr;
  std::vector<Step> steps_;
  size_t prepared_steps_ = 0;               // The first so many are in prepared_ already.
  std::deque<std::string> arena_;           // Only grows at its end: the tables below view it.
  std::vector<std::string_view> prepared_;  // By id: what goes into the other steps.
  std::vector<std::string_view> bytes_;     // By id: TokenBytes.
};

}  // namespace regatta
