// Incremental decoding is the decoder's own way; this only keeps its state.
#include "common/text/detokenizer.h"

namespace regatta {

void Detokenizer::Continue() { state_ = tokenizer_->decoder().Middle(); }

std::string Detokenizer::Append(absl::Span<const int32_t> ids) {
  std::string text;
  tokenizer_->decoder().Append(ids, skip_special_tokens_, state_, text);
  return text;
}

bool Detokenizer::HoldsBytes() const { return tokenizer_->decoder().HoldsBytes(state_); }

std::string Detokenizer::Finish() {
  std::string text;
  tokenizer_->decoder().Finish(state_, text);
  return text;
}

}  // namespace regatta
