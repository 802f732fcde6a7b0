// Whether a point was measured on one and the same set of groups.
#pragma once

#include <string>

#include "proto/cluster.pb.h"

namespace regatta {

// What became of the groups between two descriptions of a cluster: "tp4 -> tp2-dp2", or of equal
// layouts "group 1 was re-formed" (another epoch) and "group 1 was lost". Empty: nothing.
std::string LayoutChange(const ClusterDescription& before, const ClusterDescription& after);

}  // namespace regatta
