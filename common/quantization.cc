// Which scheme wins: the command line's or the checkpoint's.
#include "common/quantization.h"

#include "absl/strings/str_cat.h"

namespace regatta {

absl::StatusOr<QuantizationSpec> ResolveQuantization(absl::string_view name, bool dummy_weights,
                                                     const QuantizationSpec& checkpoint) {
  if (name.empty() || name == "auto") return checkpoint;
  QuantizationSpec spec = checkpoint;
  spec.scale_name = "weight_scale";
  if (name == "fp8") {
    if (checkpoint.enabled()) return checkpoint;
    spec.scheme = QuantizationScheme::kChannel;
    spec.online = true;
    return spec;
  }
  if (name == "fp8_static") {
    if (checkpoint.scheme == QuantizationScheme::kTensor) return checkpoint;
    if (dummy_weights && !checkpoint.enabled()) {
      spec.scheme = QuantizationScheme::kTensor;
      return spec;
    }
    return absl::InvalidArgumentError(
        "quantization fp8_static needs the scales of a calibrated checkpoint, or dummy weights; "
        "fp8 quantises any checkpoint as it is loaded");
  }
  return absl::InvalidArgumentError(absl::StrCat("quantization ", name.substr(0, 80),
                                                 " is not known; auto, fp8 and fp8_static are"));
}

std::string QuantizationName(const QuantizationSpec& spec) {
  constexpr const char* kUnits[] = {"", "tensor", "channel", "block of 128"};
  if (!spec.enabled()) return "";
  return absl::StrCat("fp8 per ", kUnits[static_cast<int>(spec.scheme)],
                      spec.online ? " (online)" : "");
}

}  // namespace regatta
