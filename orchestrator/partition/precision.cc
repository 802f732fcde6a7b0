// Names to flags to bytes; see precision.h.
#include "orchestrator/partition/precision.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/quantization.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

struct Named {
  const char* name;
  const char* dtype;
  const char* quantization;
};
constexpr Named kNamed[] = {{"fp32", "float32", "auto"},
                            {"fp16", "float16", "auto"},
                            {"bf16", "bfloat16", "auto"},
                            {"fp8", "auto", "fp8"},
                            {"fp8-static", "auto", "fp8_static"}};

absl::StatusOr<Precision> ParsePrecision(absl::string_view name) {
  absl::string_view base = name;
  const bool fp8_cache = absl::ConsumeSuffix(&base, "-kv");
  for (const Named& known : kNamed) {
    if (base != known.name) continue;
    return Precision{std::string(name), known.dtype, known.quantization,
                     fp8_cache ? "fp8" : "auto"};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--precision '", name,
                   "' is not one of fp32, fp16, bf16, fp8 and fp8-static, or of these with -kv "
                   "behind it for an fp8 KV cache"));
}

double BytesOf(const std::string& dtype) {
  if (dtype == "float32") return 4;
  return dtype == "fp8" ? 1 : 2;
}

std::string Given(const std::string& flag) { return flag.empty() ? "auto" : flag; }

}  // namespace

absl::StatusOr<std::vector<Precision>> ParsePrecisions(absl::string_view text) {
  std::vector<Precision> precisions;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
    ASSIGN_OR_RETURN(Precision precision, ParsePrecision(name));
    for (const Precision& other : precisions) {
      if (other.name != name) continue;
      return absl::InvalidArgumentError(absl::StrCat("--precision has '", name, "' twice"));
    }
    precisions.push_back(std::move(precision));
  }
  return precisions;
}

Precision GivenPrecision(const ClusterOptions& options) {
  return {"", Given(options.dtype), Given(options.quantization), Given(options.kv_cache_dtype)};
}

ClusterOptions WithPrecision(const Precision& precision, ClusterOptions options) {
  if (precision.name.empty()) return options;
  options.dtype = precision.dtype;
  options.quantization = precision.quantization;
  options.kv_cache_dtype = precision.kv_cache_dtype;
  return options;
}

absl::StatusOr<PreciseModel> InPrecision(const ModelSpec& checkpoint, const Precision& precision,
                                         bool dummy_weights, bool on_cpu) {
  PreciseModel model = {checkpoint};
  ASSIGN_OR_RETURN(
      model.spec.quantization,
      ResolveQuantization(precision.quantization, dummy_weights, checkpoint.quantization));
  const bool plain = !precision.name.empty() && precision.quantization == "auto";
  if (plain && checkpoint.quantization.enabled()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--precision ", precision.name, ": the checkpoint of ", checkpoint.name, " is ",
        QuantizationName(checkpoint.quantization), ", its matrices do not become plain again"));
  }
  const std::string automatic = on_cpu ? "float32" : checkpoint.torch_dtype;
  const double plain_bytes = BytesOf(precision.dtype == "auto" ? automatic : precision.dtype);
  model.weight_bytes = on_cpu ? plain_bytes : model.spec.WeightBytesPerParameter(plain_bytes);
  const bool fp8_cache = precision.kv_cache_dtype == "auto" && model.spec.quantization.kv_cache;
  model.kv_bytes = fp8_cache                            ? 1
                   : precision.kv_cache_dtype == "auto" ? plain_bytes
                                                        : BytesOf(precision.kv_cache_dtype);
  return model;
}

}  // namespace regatta
