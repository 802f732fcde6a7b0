// The runs of a sweep by layout, precision and stage: what may be held against another sweep's.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Layout, dtype, quantization and KV cache's dtype as they ran; where a run does not tell these,
// the precision as it was asked for.
using ArmKey = std::tuple<std::string, std::string, std::string, std::string, std::string>;

// The runs of a layout in a precision.
struct ComparedArm {
  std::string name;  // "tp2 fp8"
  // By round of successive halving in the order measured; 0 = in full.
  std::map<uint32_t, std::vector<const PointReport*>> stages;
};

struct SideArms {
  std::map<ArmKey, ComparedArm> arms;
  std::map<std::string, uint32_t> left_out;  // runs by why they are not compared
};

// Of every run that may be compared; it lies in `sweep`.
SideArms ArmsOf(const SweepReport& sweep);

// Makes one nameless arm of them, as where layout and precision are what is compared.
void MergeArms(SideArms& side);

// In full where both were; else the last round that both took part in; none where there is none.
std::optional<uint32_t> LatestCommonStage(const ComparedArm& a, const ComparedArm& b);

// The runs of that stage; those of others count as left out.
std::vector<const PointReport*> TakeStage(uint32_t stage, const ComparedArm& arm, SideArms& side);

// "tp2 fp8", where it was measured in full; else "tp2 fp8 in round 1 of halving".
std::string NameAt(const ComparedArm& arm, uint32_t stage);
// "in full", "in rounds 1 and 2 of halving alone".
std::string StagesText(const ComparedArm& arm);

}  // namespace regatta
