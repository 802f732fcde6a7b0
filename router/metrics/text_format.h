// Prometheus' text format, version 0.0.4, of the library's families. The library's own serializer
// writes the same through a stream, in four times the time (0.6 ms for 8 groups
// under both names): too long for a thread that serves tokens and is scraped every 50 ms.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace regatta {

// Counters, gauges and histograms; a histogram's last bucket must be +Inf.
std::string TextFormat(const std::vector<prometheus::MetricFamily>& families);

}  // namespace regatta
