// A real pool for experiments over layouts: a benchmark session that is launched, re-formed while
// it serves, and launched anew for another precision or after a rank has died.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/partition/partition_bench.h"

namespace regatta {

class SessionBench final : public PartitionBench {
 public:
  // `options` without layout and precision; with a URL the pool that serves there is formed, else
  // one of `ranks` workers is launched with the first candidate that is formed. `begun` has the
  // results of record.resume, empty for a new run. `stop` must outlive it.
  SessionBench(BenchmarkOptions options, RunRecord record, SweepReport begun, uint32_t ranks,
               const std::atomic<bool>& stop)
      : options_(std::move(options)),
        record_(std::move(record)),
        ranks_(ranks),
        stop_(stop),
        early_(std::move(begun)) {}

  // Opens the session at options.url.
  absl::Status Join();

  absl::StatusOr<double> Form(const Candidate& candidate) override;
  absl::Status Measure(const Candidate& candidate, const ExperimentStage& stage,
                       const PlannedLoad& load, absl::Span<const PlannedLoad> after) override;
  void Expect(std::vector<LoadPoint> loads, double forming_s) override;
  absl::Status Usable() override;
  SweepReport& sweep() override { return session_ ? session_->mutable_sweep() : early_; }

  // The layout and limits that a pool behind a URL had before.
  absl::Status Restore();

  // Null until something was launched or joined.
  BenchmarkSession* session() { return session_.get(); }

 private:
  absl::Status Launch(const Candidate& candidate);
  absl::Status Reform(const Candidate& candidate);
  // OK while every process runs and the router has a group for requests.
  absl::Status Serves() const;
  absl::Status CheckLast(int runs_before);
  absl::Status NoteOriginal();
  ClusterOptions ClusterOf(const Candidate& candidate) const;

  const BenchmarkOptions options_;
  const RunRecord record_;
  const uint32_t ranks_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<BenchmarkSession> session_;
  SweepReport early_;      // until there is a session; of a run that goes on what was begun
  std::string precision_;  // that was launched
  bool broken_ = false;    // what was launched does not serve any more
  absl::Status refused_;   // why no session opens, whatever the layout
  std::optional<RepartitionRequest> original_;  // with a URL: as it was
};

}  // namespace regatta
