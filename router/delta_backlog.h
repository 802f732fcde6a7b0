// DeltaBacklog: what waits for a client that reads more slowly than tokens come.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/inference.pb.h"

namespace regatta {

// At least the encoded size; ByteSizeLong would walk the message a second time.
inline size_t BytesOf(const TokenDelta& delta) {
  constexpr size_t kPlain = 128;  // of a delta without text, ids and log-probabilities, at most
  constexpr size_t kTop = 9;      // of a position's most likely tokens without their columns
  constexpr size_t kTopToken = 9;
  size_t bytes = kPlain + delta.text().size() + delta.error().size() + 5 * delta.token_ids_size() +
                 4 * delta.logprobs_size() + 4 * delta.prompt_logprobs().logprobs_size();
  for (const auto* tops : {&delta.top_logprobs(), &delta.prompt_logprobs().top_logprobs()}) {
    for (const TopLogprobs& top : *tops) bytes += kTop + kTopToken * top.token_ids_size();
  }
  return bytes;
}

struct BacklogLimits {
  size_t deltas;
  size_t bytes;
};

class DeltaBacklog {
 public:
  explicit DeltaBacklog(const BacklogLimits& limits) : limits_(limits) {}

  void Add(size_t bytes) {
    ++deltas_;
    bytes_ += bytes;
  }
  void Take(size_t deltas, size_t bytes) {
    deltas_ -= deltas;
    bytes_ -= bytes;
  }
  // More waits than may: the call must end.
  bool overflows() const { return deltas_ > limits_.deltas || bytes_ > limits_.bytes; }
  std::string Complaint() const {
    return absl::StrCat("the client reads too slowly: ", deltas_, " deltas of ", bytes_,
                        " bytes wait for it, over the limit of ", limits_.deltas, " or ",
                        limits_.bytes, " bytes");
  }

 private:
  const BacklogLimits limits_;
  size_t deltas_ = 0;
  size_t bytes_ = 0;
};

}  // namespace regatta
