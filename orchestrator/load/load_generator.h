// Closed-loop load: keeps `concurrency` requests running until a batch is done and records every
// one of them. One thread, no locks; computes no metric.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/load/target.h"
#include "orchestrator/statistics/statistics.h"
#include "orchestrator/workload/workload.h"

namespace regatta {

struct LoadOptions {
  uint32_t concurrency = 1;
  // After that no further request is issued; those running end by themselves.
  absl::Duration max_time = absl::InfiniteDuration();
  // Without any event for so long, what runs is cancelled and counted as failed; so is one request
  // alone that stops after its first token.
  absl::Duration stall_timeout = absl::Seconds(120);
};

struct LoadProgress {
  uint32_t total = 0, issued = 0, completed = 0, failed = 0, in_flight = 0;
  uint64_t output_tokens = 0;
  double elapsed_s = 0;
  double tokens_per_s = 0;  // over the last two seconds
};

struct LoadResult {
  PointSamples samples;  // interrupted requests are left out
  uint32_t peak_in_flight = 0;
  bool cut_short = false;    // by max_time or `stop`
  bool interrupted = false;  // by `stop`
};

class LoadGenerator final : private TargetEvents {
 public:
  using OnProgress = std::function<void(const LoadProgress&)>;

  // `target` must outlive the generator and have no other user.
  explicit LoadGenerator(Target& target) : target_(target) {}

  // Runs `batch` to its end. Errors of requests are recorded, none aborts the run. `stop` turning
  // true cancels what runs and returns soon. `progress` is called about five times a second.
  LoadResult Run(const Batch& batch, const LoadOptions& options, const std::atomic<bool>& stop,
                 const OnProgress& progress);

 private:
  struct Active {
    int64_t last_delta_ns = 0;
    std::string text;  // kept only where an answer is to be compared
    const DatasetEntry* entry = nullptr;
    bool check_answer = false;
    bool ended = false;
    bool interrupted = false;  // ended by `stop`: no record
    std::string given_up;      // why it alone was cancelled; empty: it was not
  };

  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) override;
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) override;

  void Reset(const Batch& batch, const LoadOptions& options);
  void IssueWhileFree(const Batch& batch);
  void Issue(const Batch& batch);
  void CancelIfAsked(bool stop, int64_t now_ns);
  void CancelAll(int64_t now_ns);
  void GiveUp(uint64_t index, std::string why);
  void GiveUpStalled(int64_t now_ns);
  void SettleUnended();
  void RecordLastDelta(const TokenDelta& delta, RequestRecord& record) const;
  void ReportProgress(int64_t now_ns, const OnProgress& progress);
  bool Finished(uint32_t batch_size, int64_t now_ns) const;
  double Milliseconds(int64_t time_ns) const { return (time_ns - start_ns_) / 1e6; }

  Target& target_;
  uint64_t first_tag_ = 0;  // of this Run; late events of an earlier one have smaller tags

  // State of one Run.
  LoadOptions options_;
  int64_t start_ns_ = 0;
  int64_t last_event_ns_ = 0;
  int64_t cancelled_ns_ = 0;  // when everything was cancelled; 0 = it was not
  bool issuing_ = true;
  std::vector<Active> active_;  // by index in the batch, which is tag - first_tag_
  LoadProgress progress_;
  LoadResult result_;
  struct Mark {
    int64_t time_ns;
    uint64_t tokens;
  };
  std::vector<Mark> marks_;  // of the last two seconds
};

}  // namespace regatta
