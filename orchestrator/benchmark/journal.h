// How a sweep that was killed goes on: results.json says what the sweep is and how much of it is
// whole; the rest is measured again, with the prompts it would have had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/workload/dataset.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Whether a run that `command` began and did not end can be gone on with, by its --resume.
bool GoesOn(const std::string& command);

// What `load` sends after what `previous` sent (null: first of all). Which prompts those are
// depends on the loads alone, not on what was measured before.
PlannedPoint PlanAfter(const PlannedPoint* previous, const PlannedLoad& load,
                       const BenchmarkOptions& options);

// What makes two parts of a sweep one: the `command` that began it, `flags` as given, the loads as
// far as they are known beforehand and where their prompts begin, every prompt and length of
// `dataset`, what serves, and this build.
RunIdentity IdentityOf(const std::string& command, const std::vector<std::string>& flags,
                       absl::Span<const PlannedLoad> plan, const BenchmarkOptions& options,
                       const Dataset& dataset, const ClusterDescription& cluster);

// FAILED_PRECONDITION names what differs: "machine.host: "a" -> "b"".
absl::Status CheckSameRun(const RunIdentity& before, const RunIdentity& now);

// Notes that `sweep` holds the first `points` planned points, all whole, whose requests are the
// first `request_bytes` of requests.jsonl and whose courses the first `timeline_bytes` of
// timeline.jsonl.
void NoteWhole(size_t points, uint64_t request_bytes, uint64_t timeline_bytes, SweepReport& sweep);

// The sweep in `directory` as far as it is whole; drops from the directory what is not. Where `now`
// has no plan, loads were chosen as the run went: what is whole is the plan so far. Errors: no
// results or no journal, another run (CheckSameRun), requests.jsonl is shorter than it was
// (DATA_LOSS). With `re_forms` what serves may have another layout, limits and precision now: those
// of the beginning stay in the journal.
absl::StatusOr<SweepReport> TakeUp(const RunDirectory& directory, const RunIdentity& now,
                                   bool re_forms = false);

}  // namespace regatta
