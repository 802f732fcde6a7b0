// Memory fit and limits of a model on GPUs that need not be here; see plan.h.
#include "orchestrator/cluster/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/layout.h"
#include "common/limits.h"
#include "common/quantization.h"
#include "common/size_text.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::StatusOr<double> MemoryOf(const PlanInput& input) {
  if (input.gpu_memory_gib > 0) return input.gpu_memory_gib;
  const absl::StatusOr<double> known = GpuMemoryGib(input.gpu);
  if (known.ok()) return known;
  return absl::InvalidArgumentError(
      absl::StrCat(known.status().message(), "; or give --gpu-memory-gib"));
}

absl::StatusOr<double> BytesPerElement(const char* flag, const std::string& dtype,
                                       const std::string& automatic) {
  const std::string name = dtype == "auto" || dtype.empty() ? automatic : dtype;
  if (name == "float32") return 4.0;
  if (name == "bfloat16" || name == "float16") return 2.0;
  if (name == "fp8") return 1.0;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " '", dtype, "' is not one of auto, float32, bfloat16, float16, fp8"));
}

std::string WithThousands(int64_t value) {
  std::string digits = absl::StrCat(value);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(i, 1, ',');
  return digits;
}

// The smallest tp at which the model would fit, for the error message.
std::string SmallestFit(const ModelSpec& spec, LimitsInput input) {
  for (uint32_t tp = 1; tp <= 64; tp *= 2) {
    input.tp = tp;
    if (MakeLayout(spec, tp, input.pp, 1, 1).ok() && AdviseLimits(spec, input).ok()) {
      return absl::StrCat("; it fits from --tp ", tp);
    }
  }
  return "";
}

// Lengths that were given, and as much of the usual ones as the longest sequence leaves.
absl::Status TakeLengths(const PlanInput& input, LimitsInput& limits) {
  const uint32_t given_input = input.mean_input_length, given_output = input.mean_output_length;
  const uint32_t least =
      (given_input > 0 ? given_input : 1) + (given_output > 0 ? given_output : 1);
  if (least > limits.max_seq_len) {
    const auto text = [](uint32_t given) { return absl::StrCat(given > 0 ? given : 1); };
    return absl::InvalidArgumentError(absl::StrCat(
        "--target-input-len, --target-output-len: ", text(given_input), " tokens in and ",
        text(given_output), " out are ", least, ", over ", limits.max_seq_len, ", ",
        input.max_seq_len > 0 ? "--max-seq-len" : "the model's context"));
  }
  const bool neither = given_input == 0 && given_output == 0;
  const uint32_t left = neither ? std::max(1u, limits.max_seq_len / 2)
                                : limits.max_seq_len - std::max(given_input, given_output);
  const uint32_t usual = std::min(kUsualPlanLength, left);
  limits.mean_input_length = given_input > 0 ? given_input : usual;
  limits.mean_output_length = given_output > 0 ? given_output : usual;
  return absl::OkStatus();
}

// Said when a length was not asked for and is not the usual one.
std::string WhyLengths(const PlanInput& input, const LimitsInput& limits) {
  const bool cut = (input.mean_input_length == 0 && limits.mean_input_length < kUsualPlanLength) ||
                   (input.mean_output_length == 0 && limits.mean_output_length < kUsualPlanLength);
  return cut ? absl::StrCat(" (the usual ", kUsualPlanLength, " are cut to what ",
                            limits.max_seq_len, " leave)")
             : "";
}

std::string LayoutLines(const ModelSpec& spec, uint32_t ranks) {
  std::string out;
  for (uint32_t n = ranks; n <= std::max(8u, ranks); n *= 2) {
    std::vector<std::string> names;
    for (const Layout& layout : ValidLayouts(spec, n)) names.push_back(LayoutName(layout));
    absl::StrAppendFormat(&out, "  %2d %-5s %s\n", n, n == 1 ? "rank" : "ranks",
                          names.empty() ? "none" : absl::StrJoin(names, "  "));
  }
  return out;
}

// What the limits of `spec` are derived from, in the precision and lengths asked for.
absl::StatusOr<LimitsInput> ToLimitsInput(const ModelSpec& spec, const PlanInput& input) {
  LimitsInput limits{.tp = input.tp, .pp = input.pp, .kv_cache_fraction = input.kv_cache_fraction};
  ASSIGN_OR_RETURN(limits.device_memory_gib, MemoryOf(input));
  ASSIGN_OR_RETURN(limits.weight_bytes_per_element,
                   BytesPerElement("--dtype", input.dtype, spec.torch_dtype));
  if (input.dtype != "fp8") {
    limits.weight_bytes_per_element = spec.WeightBytesPerParameter(limits.weight_bytes_per_element);
  }
  const bool fp8_cache = input.dtype == "fp8" || spec.quantization.kv_cache;
  const std::string kv_default = fp8_cache               ? "fp8"
                                 : input.dtype == "auto" ? spec.torch_dtype
                                                         : input.dtype;
  ASSIGN_OR_RETURN(limits.kv_bytes_per_element,
                   BytesPerElement("--kv-cache-dtype", input.kv_cache_dtype, kv_default));
  RETURN_IF_ERROR(CheckMaxSeqLen(spec, input.max_seq_len));
  limits.max_seq_len =
      input.max_seq_len > 0 ? input.max_seq_len : static_cast<uint32_t>(spec.max_position);
  RETURN_IF_ERROR(TakeLengths(input, limits));
  return limits;
}

// The table of sizes and limits, a line each.
std::string FigureLines(const ModelSpec& spec, const PlanInput& input, const LimitsInput& limits,
                        const LimitsAdvice& advice, uint32_t ranks) {
  std::string out;
  const auto line = [&out](const char* name, const std::string& value) {
    absl::StrAppendFormat(&out, "  %-28s %s\n", name, value);
  };
  const std::string scheme = QuantizationName(spec.quantization);
  const auto gib = [](double size) { return SizeText(size * std::exp2(30)); };
  line("Weights", absl::StrCat(gib(advice.weight_gib), ", ", gib(advice.weight_gib / ranks),
                               " per GPU", scheme.empty() ? "" : ", ", scheme));
  line("KV cache", absl::StrFormat("%s (%.0f %% of what is left), %s per GPU", gib(advice.kv_gib),
                                   input.kv_cache_fraction * 100, gib(advice.kv_gib / ranks)));
  line("KV per token", SizeText(spec.KvBytesPerToken(1, 1) * limits.kv_bytes_per_element));
  line("KV tokens", WithThousands(advice.kv_tokens));
  line("Requests that fit at once",
       absl::StrFormat("%.0f of %d in / %d out%s", advice.max_requests, limits.mean_input_length,
                       limits.mean_output_length, WhyLengths(input, limits)));
  line("Requests of full length",
       absl::StrFormat("%.1f of %d tokens", double(advice.kv_tokens) / limits.max_seq_len,
                       limits.max_seq_len));
  line("max_batch_size", absl::StrCat(advice.limits.max_batch_size()));
  line("max_num_tokens", absl::StrCat(advice.limits.max_num_tokens()));
  return out;
}

}  // namespace

const std::vector<Gpu>& KnownGpus() {
  // nvidia-smi's MiB / 1024.
  static const auto* gpus = new std::vector<Gpu>{
      {"H200", 140.40},     {"H100", 79.65},      {"H100-NVL", 93.60}, {"H20", 95.58},
      {"A100-80GB", 80.00}, {"A100-40GB", 40.00}, {"L40S", 44.99},     {"L4", 22.49},
      {"B200", 179.06},     {"RTX-4090", 23.99}};
  return *gpus;
}

absl::StatusOr<double> GpuMemoryGib(const std::string& name) {
  std::vector<std::string> names;
  for (const Gpu& gpu : KnownGpus()) {
    if (absl::AsciiStrToUpper(name) == absl::AsciiStrToUpper(gpu.name)) return gpu.memory_gib;
    names.push_back(gpu.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--gpu '", name, "' is not known; known: ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<std::string> RenderPlan(const ModelSpec& checkpoint, const PlanInput& input) {
  ModelSpec spec = checkpoint;
  // Whoever plans fp8_static will have calibrated scales.
  ASSIGN_OR_RETURN(spec.quantization,
                   ResolveQuantization(input.quantization, true, checkpoint.quantization));
  ASSIGN_OR_RETURN(const Layout layout, MakeLayout(spec, input.tp, input.pp, input.ep, input.dp));
  ASSIGN_OR_RETURN(const LimitsInput limits, ToLimitsInput(spec, input));
  const absl::StatusOr<LimitsAdvice> advice = AdviseLimits(spec, limits);
  if (!advice.ok()) {
    return absl::Status(advice.status().code(),
                        absl::StrCat(advice.status().message(), SmallestFit(spec, limits)));
  }

  const uint32_t ranks = RanksPerCopy(layout);
  std::string out = absl::StrFormat("%s (%s), %s parameters\n", spec.name, spec.architecture,
                                    WithThousands(spec.NumParameters()));
  absl::StrAppendFormat(&out, "on %d x %s (%.1f GiB each), layout %s%s\n\n", WorldSize(layout),
                        input.gpu, limits.device_memory_gib, LayoutName(layout),
                        input.dp > 1 ? absl::StrFormat(", figures per copy of %d", ranks) : "");
  absl::StrAppend(&out, FigureLines(spec, input, limits, *advice, ranks));
  absl::StrAppend(&out, "\nWhy these limits\n");
  for (absl::string_view reason :
       absl::StrSplit(advice->limits.reasoning(), '\n', absl::SkipEmpty())) {
    absl::StrAppend(&out, "  ", reason, "\n");
  }
  absl::StrAppend(&out, "\nValid layouts\n", LayoutLines(spec, WorldSize(layout)));
  return out;
}

}  // namespace regatta
