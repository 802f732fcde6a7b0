// Random workloads through the scheduler against a fake worker group. `--seed=N` replays one,
// `--workloads=N` sets how many run.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "tests/sim/simulation.h"

namespace regatta::sim {
namespace {

uint64_t first_seed = 1;
uint64_t num_workloads = 20000;
volatile uint64_t current_seed = 0;

// A broken invariant aborts the process: say which workload it was.
void PrintSeed(int) {
  std::fprintf(stderr, "replay with --seed=%lu\n", static_cast<unsigned long>(current_seed));
}

TEST(SchedulerSimulation, EverySequenceEndsOnceWithItsOwnTokens) {
  Coverage coverage;
  for (uint64_t seed = first_seed; seed < first_seed + num_workloads; ++seed) {
    current_seed = seed;
    SCOPED_TRACE("replay with --seed=" + std::to_string(seed));
    Simulation simulation(seed);
    const absl::Status status = simulation.Run();
    ASSERT_TRUE(status.ok()) << status.message() << "\n" << simulation.Describe();
    coverage.Add(simulation.coverage());
  }
  std::printf(
      "%lu workloads: %lu steps, %lu finished, %lu cancelled, %lu stopped late, %lu rejected, "
      "%lu preempted (%lu in flight), %lu re-formed, %lu cached tokens, %lu discarded tokens, "
      "%lu slots reused in flight, %lu masked draws (%lu waits for masks, %lu masks of ended "
      "sequences), %lu masks put off, %lu constraints moved, %lu prompts scored\n",
      coverage.workloads, coverage.steps, coverage.finished, coverage.cancelled,
      coverage.late_stops, coverage.rejected, coverage.preempted, coverage.preempted_in_flight,
      coverage.reformed, coverage.cached_tokens, coverage.discarded_tokens,
      coverage.slots_reused_in_flight, coverage.masked_draws, coverage.masks_awaited,
      coverage.masks_of_ended, coverage.put_off_masks, coverage.moved_constraints,
      coverage.scored_prompts);
  if (num_workloads < 1000) return;
  // The workloads are worth nothing unless they reach all of this, often.
  const uint64_t often = num_workloads / 10;
  EXPECT_GT(coverage.finished, often);
  EXPECT_GT(coverage.cancelled, often);
  EXPECT_GT(coverage.late_stops, often);
  EXPECT_GT(coverage.rejected, often);
  EXPECT_GT(coverage.preempted_in_flight, often);
  EXPECT_GT(coverage.slots_reused_in_flight, often);
  EXPECT_GT(coverage.reformed, often);
  EXPECT_GT(coverage.cached_tokens, often);
  EXPECT_GT(coverage.discarded_tokens, often);
  EXPECT_GT(coverage.masked_draws, often);
  EXPECT_GT(coverage.masks_awaited, often);
  EXPECT_GT(coverage.masks_of_ended, often);
  EXPECT_GT(coverage.moved_constraints, often);
  EXPECT_GT(coverage.put_off_masks, often / 10) << "three constrained sequences at once are rare";
  EXPECT_GT(coverage.scored_prompts, often);
}

}  // namespace
}  // namespace regatta::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--seed=")) {
      if (absl::SimpleAtoi(argument, &regatta::sim::first_seed)) {
        regatta::sim::num_workloads = 1;
        continue;
      }
    } else if (absl::ConsumePrefix(&argument, "--workloads=")) {
      if (absl::SimpleAtoi(argument, &regatta::sim::num_workloads)) continue;
    }
    std::fprintf(stderr, "usage: %s [--seed=N | --workloads=N]\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, regatta::sim::PrintSeed);
  return RUN_ALL_TESTS();
}
