// What a reader of a point's figures must know before trusting them.
#pragma once

#include <string>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

struct PointConditions {
  uint32_t asked_requests = 0;
  uint32_t reused_prompts = 0;
  bool exact_lengths = true;  // end tokens were ignored
  bool interrupted = false;
  bool stalled = false;              // nothing came any more
  double max_time_s = 0;             // after which nothing more was issued; 0 = none
  bool prompts_sent_before = false;  // to this server, by a part of the sweep that was cut
};

// One sentence each; none for a clean point. Failed requests are not repeated here: reports count
// and name them.
std::vector<std::string> WarningsOf(const PointReport& point, const PointConditions& conditions);

}  // namespace regatta
