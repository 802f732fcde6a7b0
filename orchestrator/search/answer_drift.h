// A server that changes while a load is searched for, confirmed and tuned.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Names every load whose users had another speed in the search than when it was confirmed or
// refuted, or in the last of these runs than in the first, and the recommended one where tuned
// limits changed it by more than limits explain (drift.h), with both figures. Empty where there is
// none.
std::string AnswerDrift(const SweepReport& sweep);

}  // namespace regatta
