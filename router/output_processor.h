// OutputProcessor: what the scheduler says about one sequence, turned into what its client reads:
// text, stop strings, finish reason, usage and times. Moves with its request from group to group,
// so nothing is streamed twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/text/detokenizer.h"
#include "proto/inference.pb.h"
#include "router/scheduler/scheduler.h"
#include "router/stop_matcher.h"

namespace regatta {

struct OutputOptions {
  bool return_text = false;
  bool return_token_ids = false;
  bool skip_special_tokens = true;  // in the text
  bool continue_text = false;       // it goes on with the prompt's
  bool include_stop = false;        // show the stop string, or the text of the token that stopped
  std::vector<std::string> stops;
  uint32_t min_tokens = 0;  // stop strings do not count before
  uint32_t prompt_tokens = 0;
  int64_t arrived_ns = 0;
};

class OutputProcessor {
 public:
  // `tokenizer` may be null when neither text nor stop strings are asked for; otherwise it must
  // outlive this.
  OutputProcessor(OutputOptions options, const Tokenizer* tokenizer);

  // The sequence got a slot (only the first time counts), or must be computed again elsewhere.
  void Scheduled(int64_t now_ns);
  void Moved();

  // New tokens, committed at `now_ns`. The delta that ends the request has finish reason, usage and
  // times; a stop string may end it although `event` does not: then finished() is true and the
  // sequence must be cancelled.
  TokenDelta Process(const SequenceEvent& event, int64_t now_ns);
  // The last delta of a request that ends otherwise.
  TokenDelta End(FinishReason reason, int64_t now_ns);

  bool finished() const { return finished_; }
  bool started() const { return times_.scheduled_ns() != 0; }
  // So far.
  const EngineTimes& times() const { return times_; }
  const Usage& usage() const { return usage_; }

 private:
  // Text that `event`'s tokens complete; sets stopped_ when a stop string is in it.
  std::string ShownText(const SequenceEvent& event);
  void Complete(FinishReason reason, TokenDelta& delta);

  OutputOptions options_;
  std::optional<Detokenizer> detokenizer_;
  std::optional<StopMatcher> matcher_;
  EngineTimes times_;
  Usage usage_;
  uint32_t earlier_preemptions_ = 0;  // before the last move, moves included
  bool moved_ = false;
  bool stopped_ = false;
  bool finished_ = false;
};

}  // namespace regatta
