// Published request traces as data sets with timestamps: when requests came and how long they were;
// the prompts are random tokens, shared where the trace says so. Pure: files are given as streams.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

enum class TraceFormat {
  kMooncake,  // JSON Lines: timestamp (ms), input_length, output_length, hash_ids
  kAzure,     // AzureLLMInferenceTrace CSV: TIMESTAMP, ContextTokens, GeneratedTokens
  kBurstGpt,  // CSV: Timestamp (s), Request tokens, Response tokens
};

// "mooncake", "azure" or "burstgpt"; INVALID_ARGUMENT names the value.
absl::StatusOr<TraceFormat> ParseTraceFormat(absl::string_view name);

struct TraceOptions {
  TraceFormat format = TraceFormat::kMooncake;
  uint32_t num_requests = 0;                             // the first so many; 0 = all
  uint32_t max_input_tokens = 0, max_output_tokens = 0;  // longer requests are left out; 0 = none
  uint64_t seed = 420;
};

struct Trace {
  std::vector<DatasetEntry> entries;  // in order of the file; timestamps from the first of them
  uint64_t left_out = 0;              // without input or output (failures), or too long
};

// Tokens of one hash id: 512 of them, the same wherever the id stands (Mooncake, FAST '25, section
// 4 of the trace's description).
inline constexpr uint32_t kTraceBlockTokens = 512;

// `vocabulary`: the ids to draw from. INVALID_ARGUMENT names path and line.
absl::StatusOr<Trace> ReadTrace(std::istream& in, const std::string& path,
                                const TraceOptions& options,
                                const std::vector<uint32_t>& vocabulary);

}  // namespace regatta
