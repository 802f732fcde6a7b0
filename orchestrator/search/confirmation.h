// From the runs of a search to an answer: which load serves the goal, whether fresh prompts confirm
// it, what more users see. Pure: what is missing is named, and measured by the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/search/goal.h"
#include "orchestrator/statistics/search_role.h"
#include "proto/results.pb.h"

namespace regatta {

// Loads that are tried before the search counts as refuted.
inline constexpr int kMostConfirmations = 3;

// Runs with that role (and, unless it is 0, at that concurrency), in the order measured. They lie
// in `sweep`.
std::vector<const PointReport*> RunsOf(const SweepReport& sweep, const std::string& role,
                                       uint32_t concurrency = 0);

// 1.25 times `users`, rounded but more than they are, and 2 times; one load for a single user.
std::vector<uint32_t> OverloadsOf(uint32_t users);

// All runs that answer for a load of the search, in order: `repeats` that confirm it and one of
// each overload; with `apply` as many again under tuned limits.
std::vector<uint32_t> RunsOfAnswer(uint32_t users, uint32_t repeats, bool apply);

// A run that an answer lacks.
struct MissingRun {
  uint32_t concurrency = 0;
  uint32_t repeat = 1;  // which run of this load in this role, from 1
  std::string role;
};

// Fills `answer` as far as the runs of `sweep` go, whose search has ended, and returns what to
// measure next; nothing when the answer is complete. The best load of the search is confirmed by
// `repeats` runs, most of which must meet the goal; else the best of the others is tried, at most
// kMostConfirmations in all. A confirmed load is measured once at each of OverloadsOf.
std::optional<MissingRun> FillAnswer(const Goal& goal, uint32_t repeats, const SweepReport& sweep,
                                     Recommendation& answer);

}  // namespace regatta
