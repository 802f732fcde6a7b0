// The list of all series: their names, what they mean and where they come from. docs/METRICS.md
// shows the same list; a test compares them.
#pragma once

#include <prometheus/metric_type.h>

#include <variant>

#include "absl/types/span.h"
#include "router/metrics/group_metrics.h"

namespace regatta {

// Series that are no totals over groups.
enum class Figure {
  kRunning,
  kWaiting,
  kKvUsage,
  kCacheConfig,
  kSuccess,
  kRefused,
  kGroups,
  kGroupRunning,
  kGroupWaiting,
  kGroupBlocks,
  kRankCompute,
  kRankTimedSteps,
  kRankCompleted,
  kGpuPower,
  kGpuEnergy,
  kGrammarCompile,
  kHttpConnections,
  kHttpRequests,
  kBuild,
};

struct MetricRow {
  const char* name;
  prometheus::MetricType type;
  const char* unit;
  const char* labels;   // beside model_name, for people
  const char* meaning;  // one sentence
  const char* alias;    // vLLM's name without its prefix; empty when it has none
  std::variant<GroupCounter, GroupHistogram, Figure> source;
  const char* part = "";  // value of the label "part", for rows that share a name
};

// Rows that share a name follow one another.
absl::Span<const MetricRow> MetricTable();

}  // namespace regatta
