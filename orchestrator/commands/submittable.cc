// One adapter over three sets of flags; see submittable.h.
#include "orchestrator/commands/submittable.h"

#include <CLI/CLI.hpp>

#include "common/status_macros.h"
#include "orchestrator/benchmark/figures.h"
#include "orchestrator/benchmark/load_shape.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/partition_flags.h"
#include "orchestrator/commands/recommend_flags.h"
#include "orchestrator/commands/sweep_flags.h"

namespace regatta {
namespace {

constexpr const char* kSubmittable[] = {"sweep", "recommend", "partition"};

absl::Status CheckMeasuring(const BenchmarkOptions& options, const std::vector<LoadPoint>& points) {
  for (const LoadPoint& point : points) RETURN_IF_ERROR(CheckLoadShape(options.load, point));
  RETURN_IF_ERROR(CheckFlagsOfUrl(options));
  return CheckFigures(options);
}

absl::Status CheckSweep(SweepFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<LoadPoint> points, PointsOf(flags));
  return CheckMeasuring(flags.benchmark, points);
}

absl::Status CheckRecommend(RecommendFlags& flags) {
  ASSIGN_OR_RETURN(const RecommendPlan plan, RecommendPlanOf(flags));
  ASSIGN_OR_RETURN(const std::vector<LoadPoint> points, ForeseenLoadsOf(plan, flags));
  return CheckMeasuring(flags.benchmark, points);
}

absl::Status CheckPartition(PartitionFlags& flags) {
  if (flags.dry_run) {
    return absl::InvalidArgumentError("--dry-run measures nothing: `regatta partition` tells here");
  }
  RETURN_IF_ERROR(CheckPartitionFlags(flags));
  BenchmarkOptions session = flags.benchmark;
  session.gpus = 0;  // the ranks of its pool
  return CheckMeasuring(session, {});
}

template <typename Flags>
class SubmittableWith final : public Submittable {
 public:
  using Add = void (*)(CLI::App&, Flags&);
  using Judge = absl::Status (*)(Flags&);
  SubmittableWith(Add add, Judge judge) : add_(add), judge_(judge) {}

  void AddFlags(CLI::App& command) override { add_(command, flags_); }
  absl::Status Check(const CLI::App& command) override {
    flags_.given = GivenFlags(command);
    flags_.benchmark.dataset.clear();
    return judge_(flags_);
  }
  const BenchmarkOptions& benchmark() const override { return flags_.benchmark; }

 private:
  const Add add_;
  const Judge judge_;
  Flags flags_;
};

}  // namespace

absl::Span<const char* const> SubmittableNames() { return kSubmittable; }

std::unique_ptr<Submittable> MakeSubmittable(absl::string_view name) {
  if (name == "sweep") {
    return std::make_unique<SubmittableWith<SweepFlags>>(&AddSweepFlags, &CheckSweep);
  }
  if (name == "recommend") {
    return std::make_unique<SubmittableWith<RecommendFlags>>(&AddRecommendFlags, &CheckRecommend);
  }
  if (name == "partition") {
    return std::make_unique<SubmittableWith<PartitionFlags>>(&AddPartitionFlags, &CheckPartition);
  }
  return nullptr;
}

}  // namespace regatta
