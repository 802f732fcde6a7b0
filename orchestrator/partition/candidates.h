// Which layouts and precisions a partition experiment tries on a pool, in which order, and why
// others are not tried. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model_spec.h"
#include "orchestrator/partition/device_speed.h"
#include "orchestrator/partition/precision.h"
#include "orchestrator/partition/roofline_prior.h"
#include "proto/types.pb.h"

namespace regatta {

// The ranks that can be formed into layouts.
struct PoolFacts {
  uint32_t ranks = 1;
  std::string device;     // as a result names it: "NVIDIA H200", "CPU ranks"
  double memory_gib = 0;  // of one rank; 0 = not known, everything is taken to fit
  double kv_cache_fraction = 0.9;
  bool on_cpu = false;
};

struct Candidate {
  Layout layout;
  Precision precision;
  std::string dropped;            // why it is not measured; empty = it is
  uint32_t idle = 0;              // ranks of the pool that it leaves without work
  std::vector<SpeedPoint> prior;  // at each asked concurrency; none for a dropped one
};

// What a model is tried in.
struct CandidateInput {
  ModelSpec checkpoint;
  bool dummy_weights = false;
  PoolFacts pool;
  PriorLoad load;
  std::vector<uint32_t> concurrencies;
  std::vector<Precision> precisions;
  std::vector<Layout> layouts;  // only these; empty = all that fill the pool
};

// "tp4-ep2,tp2-dp2" into layouts: sizes of tp, pp, ep and dp in any order, one where left out, and
// copies (dp) as many as `ranks` hold where no dp is given. INVALID_ARGUMENT names the part that is
// no layout, is there twice, or needs more than `ranks`.
absl::StatusOr<std::vector<Layout>> ParseLayouts(absl::string_view text, uint32_t ranks);

// Every tp x pp x ep whose copies fill the pool, in every precision; ep above one only for models
// with experts. Those that can be tried come first, precision by precision, best prior first: by
// how far their predicted points stay below the best predicted ones at their speed, then by name.
// Dropped ones follow, each with its reason: sizes that do not divide the model, memory. Errors: a
// precision that the checkpoint cannot have.
absl::StatusOr<std::vector<Candidate>> EnumerateCandidates(const CandidateInput& input);

// "tp2-dp2 fp8", or the layout alone where the precision has no name.
std::string CandidateName(const Candidate& candidate);

}  // namespace regatta
