// Precisions of a partition experiment: bf16, fp8, fp8 with an fp8 KV cache, ... and what each
// means for a model's memory and for the cluster that is launched.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model_spec.h"
#include "orchestrator/cluster/cluster_options.h"

namespace regatta {

// As the flags --dtype, --quantization and --kv-cache-dtype take them.
struct Precision {
  std::string name;  // "fp8-kv"; empty: as the checkpoint or the running cluster has it
  std::string dtype = "auto";
  std::string quantization = "auto";
  std::string kv_cache_dtype = "auto";
};

// "bf16,fp8,fp8-kv" into distinct precisions in that order. A name is one of fp32, fp16, bf16, fp8
// (made while loading) and fp8-static (calibrated), with "-kv" behind it where keys and values are
// fp8 too. INVALID_ARGUMENT names the part that is none of these, or that is there twice.
absl::StatusOr<std::vector<Precision>> ParsePrecisions(absl::string_view text);

// That of flags given one by one.
Precision GivenPrecision(const ClusterOptions& options);

// `options` launched with that precision; as they are where it has no name.
ClusterOptions WithPrecision(const Precision& precision, ClusterOptions options);

// A model held in a precision.
struct PreciseModel {
  ModelSpec spec;           // with the quantization that results
  double weight_bytes = 2;  // mean of a weight
  double kv_bytes = 2;      // of an element of keys and values
};

// `checkpoint` in `precision`; CPU ranks compute in fp32 unless told otherwise and unpack fp8.
// INVALID_ARGUMENT for what the checkpoint cannot be: quantised matrices do not become plain again,
// and fp8-static needs calibrated scales or dummy weights.
absl::StatusOr<PreciseModel> InPrecision(const ModelSpec& checkpoint, const Precision& precision,
                                         bool dummy_weights, bool on_cpu);

}  // namespace regatta
