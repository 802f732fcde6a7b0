// Frequencies of each context extension; see rope_table.h.
#include "worker/rope_table.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace regatta {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Wavelengths below original / high_freq_factor keep their frequency, above original /
// low_freq_factor it is divided by factor.
double Llama3Frequency(const RopeSpec& rope, double frequency) {
  const double turns = rope.original_max_position * frequency / (2 * kPi);
  const double smooth =
      (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  const double keep = std::clamp(smooth, 0.0, 1.0);
  return keep * frequency + (1 - keep) * frequency / rope.factor;
}

// The (fractional) dimension whose wave turns `rotations` times over the original context.
double YarnDimension(const RopeSpec& rope, int head_dim, double rotations) {
  return head_dim * std::log(rope.original_max_position / (rotations * 2 * kPi)) /
         (2 * std::log(rope.theta));
}

void ApplyYarn(const RopeSpec& rope, int head_dim, std::vector<double>& frequencies) {
  double low = YarnDimension(rope, head_dim, rope.beta_fast);
  double high = YarnDimension(rope, head_dim, rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, head_dim - 1.0);
  if (low == high) high += 0.001;  // as transformers does, against 0 / 0
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    frequencies[i] = ramp * frequencies[i] / rope.factor + (1 - ramp) * frequencies[i];
  }
}

}  // namespace

std::vector<float> RopeFrequencies(const RopeSpec& rope, int head_dim) {
  CHECK_EQ(head_dim % 2, 0);
  std::vector<double> frequencies(head_dim / 2);
  for (int i = 0; i < head_dim / 2; ++i) {
    frequencies[i] = std::pow(rope.theta, -2.0 * i / head_dim);
    if (rope.kind == RopeKind::kLinear) frequencies[i] /= rope.factor;
    if (rope.kind == RopeKind::kLlama3) frequencies[i] = Llama3Frequency(rope, frequencies[i]);
  }
  if (rope.kind == RopeKind::kYarn) ApplyYarn(rope, head_dim, frequencies);
  return {frequencies.begin(), frequencies.end()};
}

std::vector<float> MakeRopeTable(const RopeSpec& rope, int max_position, int head_dim) {
  const std::vector<float> frequencies = RopeFrequencies(rope, head_dim);
  const float scale =
      rope.kind == RopeKind::kYarn ? static_cast<float>(rope.attention_factor) : 1.0f;
  const size_t half = frequencies.size();
  std::vector<float> table(static_cast<size_t>(max_position) * head_dim);
  for (int p = 0; p < max_position; ++p) {
    float* row = table.data() + static_cast<size_t>(p) * head_dim;
    for (size_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];
      row[i] = scale * std::cos(angle);
      row[half + i] = scale * std::sin(angle);
    }
  }
  return table;
}

}  // namespace regatta
