// Quantised weights and activations for tests, and the values that they stand for.
#pragma once

#include <string>
#include <vector>

#include "tests/kernels/device_tensor.h"

namespace regatta {

// How a weight is scaled; kOnline is a plain matrix that the backend quantises by rows.
enum class WeightForm { kTensor, kChannel, kBlock, kOnline };
const char* FormName(WeightForm form);
inline constexpr WeightForm kWeightForms[] = {WeightForm::kTensor, WeightForm::kChannel,
                                              WeightForm::kBlock, WeightForm::kOnline};

// The scale of a static input, in tests.
inline constexpr float kTestInputScale = 0.02f;

// Normal values under random scales. Of kOnline, `values` are what a backend must make of it.
TestWeight QuantizedWeight(Ops& ops, WeightForm form, int64_t out, int64_t in, Random& random,
                           WeightUse use = WeightUse::kLinear);

const char* FormatName(ActivationFormat format);
inline constexpr ActivationFormat kQuantizedFormats[] = {
    ActivationFormat::kStatic, ActivationFormat::kPerToken, ActivationFormat::kPerGroup};

// Memory of a quantised activation [tokens, width], NaN until written.
class QuantizedActivation {
 public:
  QuantizedActivation(Ops& ops, ActivationFormat format, int64_t tokens, int64_t width);

  Activation view() const {
    return Activation(values_.tensor(), scale_.tensor()).FirstRows(tokens_);
  }
  operator Activation() const { return view(); }
  // Numbers times scales.
  std::vector<double> Read() const;
  // The scale of each element.
  std::vector<double> Scales() const;

 private:
  const int64_t tokens_, width_;
  DeviceTensor values_;
  DeviceTensor scale_;
};

// Fails unless `got` stands for `want` as well as E4M3 can: scales are the largest magnitude that
// shares them / 448 (unless static), elements, which may be off by their `errors`, are rounded
// once.
void ExpectQuantized(const QuantizedActivation& got, ActivationFormat format, int64_t width,
                     const std::vector<double>& want, const std::string& what);
void ExpectQuantized(const QuantizedActivation& got, ActivationFormat format, int64_t width,
                     const std::vector<double>& want, const std::string& what,
                     const std::vector<double>& errors);

}  // namespace regatta
