// Request: one client request inside the router, from validation to its last delta. One thread owns
// it at any time: it moves from the front end to placement, to an engine loop, and back when that
// loop's group is fenced.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "common/text/tokenizer.h"
#include "proto/inference.pb.h"
#include "router/frontend.h"
#include "router/grammar/output_constraint.h"
#include "router/metrics/request_ends.h"
#include "router/output_processor.h"
#include "router/scheduler/scheduler.h"

namespace regatta {

struct Request {
  uint64_t id = 0;
  SequenceSpec spec;  // moved into the scheduler while an engine loop holds the request
  OutputProcessor output;
  Constraint wanted;  // of the output; of no kind = none
  // What `wanted` compiled to; has accepted the output so far. Also held by masks being computed.
  std::shared_ptr<OutputConstraint> constraint;
  std::shared_ptr<DeltaStream> stream;
  uint64_t tag = 0;               // of the request within `stream`
  int64_t queue_deadline_ns = 0;  // 0 = none; no longer counts once the sequence has started
  uint32_t moves = 0;             // groups lost so far
  uint32_t longest = 0;           // most tokens it may come to: what a new layout must hold
  RequestEnds* ends = nullptr;    // counts how requests end; null: nobody does

  // Sends a delta, the last one when it has a finish reason.
  void Push(TokenDelta delta) {
    if (delta.finish_reason() != FINISH_REASON_NONE) CountEnd(delta.finish_reason());
    stream->Push(tag, std::move(delta));
  }
  // Ends the request without a result.
  void Fail(const absl::Status& status) {
    CountEnd(FINISH_REASON_ERROR);
    stream->Fail(tag, status);
    stream->Flush();
  }

 private:
  void CountEnd(FinishReason reason) {
    if (ends != nullptr) ends->Count(reason);
  }
};

// What requests are checked against. `tokenizer` is null for models without one.
struct RequestLimits {
  const ModelSpec& model;
  const Tokenizer* tokenizer = nullptr;
  uint32_t max_seq_len = 0;
  uint32_t max_num_tokens = 0;
  bool chunked_prefill = true;
  bool prefix_cache = true;
  uint32_t queue_timeout_ms = 0;  // for requests that give none; 0 = wait as long as it takes
  bool ignore_priority = false;
};

inline constexpr uint32_t kMaxStops = 16;
inline constexpr uint32_t kMaxStopBytes = 256;
inline constexpr uint32_t kMaxStopTokenIds = 128;
inline constexpr uint32_t kMaxTopLogprobs = 20;
inline constexpr int kMaxBiasTokens = 1024;
inline constexpr float kLargestBias = 100;
// Of one request, top ones included: encoded they are below 3 MB, and a gRPC message may have 4.
inline constexpr uint64_t kMaxPromptLogprobs = 1 << 18;
inline constexpr uint32_t kMaxRequestIdBytes = 256;
inline constexpr int32_t kMaxPriority = 1 << 20;

// Checks every field, tokenises a text prompt and resolves defaults. INVALID_ARGUMENT names field,
// value and limit. The caller sets id, stream and tag.
absl::StatusOr<std::unique_ptr<Request>> MakeRequest(const GenerateRequest& request,
                                                     const RequestLimits& limits, int64_t now_ns);

}  // namespace regatta
