// Identity of a run and its whole part; see journal.h.
#include "orchestrator/benchmark/journal.h"

#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/hash.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/cluster/cluster_client.h"

namespace regatta {
namespace {

std::string HashOf(const Dataset& dataset) {
  uint64_t hash = 0;
  for (const DatasetEntry& entry : dataset.entries) {
    hash = Fnv1a(absl::StrCat(hash, FormatDatasetEntry(entry)));
  }
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

// What serves, as far as an experiment changes it.
void TakeSystem(const RunIdentity& from, RunIdentity& to) {
  *to.mutable_world_info() = from.world_info();
  EngineInfo& engine = *to.mutable_engine();
  engine.set_dtype(from.engine().dtype());
  engine.set_kv_cache_dtype(from.engine().kv_cache_dtype());
  engine.set_quantization(from.engine().quantization());
}

}  // namespace

bool GoesOn(const std::string& command) {
  return command == "sweep" || command == "recommend" || command == "partition";
}

PlannedPoint PlanAfter(const PlannedPoint* previous, const PlannedLoad& load,
                       const BenchmarkOptions& options) {
  PlannedPoint next;
  next.set_repeat(load.repeat);
  next.set_concurrency(load.point.concurrency);
  next.set_request_rate(load.point.request_rate);
  next.set_requests(load.point.requests);
  if (previous != nullptr) {
    LoadPoint before;
    before.concurrency = previous->concurrency();
    before.request_rate = previous->request_rate();
    next.set_first_prompt(previous->first_prompt() + WarmupRequestsAt(options, before) +
                          previous->requests());
  }
  return next;
}

RunIdentity IdentityOf(const std::string& command, const std::vector<std::string>& flags,
                       absl::Span<const PlannedLoad> plan, const BenchmarkOptions& options,
                       const Dataset& dataset, const ClusterDescription& cluster) {
  RunIdentity identity;
  identity.set_command(command);
  identity.mutable_flags()->Add(flags.begin(), flags.end());
  const PlannedPoint* previous = nullptr;
  for (const PlannedLoad& load : plan) {
    *identity.add_planned() = PlanAfter(previous, load, options);
    previous = &identity.planned(identity.planned_size() - 1);
  }
  identity.set_dataset_hash(HashOf(dataset));
  const PointReport context = ContextOf(cluster);
  *identity.mutable_engine() = context.engine();
  *identity.mutable_machine() = context.machine();
  identity.mutable_machine()->clear_memory();  // of CPU ranks what is free, which is never the same
  *identity.mutable_world_info() = context.world_info();
  identity.set_version(kVersion);
  identity.set_commit(BuildCommit());
  return identity;
}

absl::Status CheckSameRun(const RunIdentity& before, const RunIdentity& now) {
  constexpr size_t kMaxNamed = 5;
  google::protobuf::util::MessageDifferencer differencer;
  std::string text;
  differencer.ReportDifferencesToString(&text);
  if (differencer.Compare(before, now)) return absl::OkStatus();
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (lines.size() > kMaxNamed) lines.resize(kMaxNamed);
  return absl::FailedPreconditionError(
      absl::StrCat("this is not the sweep that was begun: ", absl::StrJoin(lines, "; ")));
}

void NoteWhole(size_t points, uint64_t request_bytes, uint64_t timeline_bytes, SweepReport& sweep) {
  sweep.mutable_journal()->set_whole_points(static_cast<uint32_t>(points));
  sweep.mutable_journal()->set_request_bytes(static_cast<double>(request_bytes));
  sweep.mutable_journal()->set_timeline_bytes(static_cast<double>(timeline_bytes));
}

absl::StatusOr<SweepReport> TakeUp(const RunDirectory& directory, const RunIdentity& now,
                                   bool re_forms) {
  ASSIGN_OR_RETURN(SweepReport sweep, directory.LoadWhole());
  Journal& journal = *sweep.mutable_journal();
  const bool chosen_as_it_went = now.planned_size() == 0;
  RunIdentity expected = now;
  if (chosen_as_it_went) *expected.mutable_planned() = journal.identity().planned();
  if (re_forms) TakeSystem(journal.identity(), expected);
  if (absl::Status same = CheckSameRun(journal.identity(), expected); !same.ok()) {
    return absl::Status(same.code(), absl::StrCat(directory.path(), ": ", same.message()));
  }
  if (journal.whole_points() > static_cast<uint32_t>(journal.identity().planned_size())) {
    return absl::DataLossError(absl::StrCat(directory.path(), ": ", journal.whole_points(),
                                            " points are whole, ",
                                            journal.identity().planned_size(), " were planned"));
  }
  if (chosen_as_it_went) {
    auto& planned = *journal.mutable_identity()->mutable_planned();
    planned.DeleteSubrange(journal.whole_points(), planned.size() - journal.whole_points());
  }
  RETURN_IF_ERROR(directory.KeepRequests(static_cast<uint64_t>(journal.request_bytes())));
  RETURN_IF_ERROR(directory.KeepTimelines(static_cast<uint64_t>(journal.timeline_bytes())));
  journal.set_resumed(journal.resumed() + 1);
  sweep.set_completed(false);
  return sweep;
}

}  // namespace regatta
