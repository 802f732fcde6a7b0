// A running cluster in words, for `regatta cluster`.
#pragma once

#include <string>

#include "proto/cluster.pb.h"

namespace regatta {

// Model, layout, limits with how they were derived, groups and workers, as lines and tables.
std::string ClusterText(const ClusterDescription& cluster);

// One line of a change under way; the times of its stages (seconds) once it is done.
std::string RepartitionText(const RepartitionProgress& progress);

}  // namespace regatta
