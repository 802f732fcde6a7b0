// The arithmetic of roofline_prior.h.
#include "orchestrator/partition/roofline_prior.h"

#include <algorithm>
#include <cmath>

#include "common/layout.h"

namespace regatta {
namespace {

constexpr double kAchievedRead = 0.8, kAchievedMath = 0.6;
constexpr double kActivationBytes = 2;

double One(uint32_t size) { return std::max(size, 1u); }

// Parameters by how a step meets them, over all layers.
struct Parameters {
  double shared = 0;   // read and multiplied whatever the tokens are: attention, dense MLPs, head
  double experts = 0;  // of all experts
};

Parameters ParametersOf(const ModelSpec& spec) {
  Parameters parameters;
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    if (!spec.LayerIsMoe(layer)) continue;
    parameters.experts += 3.0 * spec.hidden_size * spec.moe.expert_width * spec.moe.num_experts;
  }
  // Of the embedding, only the tokens' rows are read; where it is tied it is the head.
  const double embedding =
      spec.tie_embeddings ? 0 : static_cast<double>(spec.vocab_size) * spec.hidden_size;
  parameters.shared = static_cast<double>(spec.NumParameters()) - parameters.experts - embedding;
  return parameters;
}

// The part of all experts that some of `tokens` tokens chooses, and that one token does.
double ChosenByAny(const MoeSpec& moe, double tokens) {
  if (moe.num_experts == 0) return 0;
  return 1 - std::pow(1 - double(moe.experts_per_token) / moe.num_experts, tokens);
}
double ChosenByOne(const MoeSpec& moe) {
  return moe.num_experts == 0 ? 0 : double(moe.experts_per_token) / moe.num_experts;
}

double MathSeconds(const PreciseModel& model, const Parameters& parameters,
                   const DeviceSpeed& device, double tokens) {
  const bool fp8 = model.spec.quantization.enabled();
  const double dense_rate = (fp8 ? device.fp8_tflop_s : device.plain_tflop_s) * 1e12;
  const double expert_rate = device.plain_tflop_s * 1e12;  // experts are unpacked
  const double flop_s = 2 * tokens * parameters.shared / dense_rate +
                        2 * tokens * parameters.experts * ChosenByOne(model.spec.moe) / expert_rate;
  return flop_s / kAchievedMath;
}

double ReduceSeconds(const DeviceSpeed& device, double tp, double bytes) {
  if (tp <= 1) return 0;
  return 2 * device.link_latency_us * 1e-6 + 2 * (tp - 1) / tp * bytes / (device.link_gb_s * 1e9);
}

}  // namespace

double PriorStepSeconds(const PreciseModel& model, const Layout& layout, const DeviceSpeed& device,
                        const PriorLoad& load, double sequences) {
  const ModelSpec& spec = model.spec;
  const double tp = One(layout.attention_tp()), pp = One(layout.pp());
  const double tokens = sequences * (1 + load.input_tokens / load.output_tokens);
  const Parameters parameters = ParametersOf(spec);

  const double weights = (parameters.shared + parameters.experts * ChosenByAny(spec.moe, tokens)) *
                         model.weight_bytes / (tp * pp);
  const double context = load.input_tokens + load.output_tokens / 2;
  const double keys_and_values =
      sequences * context * model.kv_bytes * spec.KvBytesPerToken(1, static_cast<int>(tp)) / pp;
  const double read_s = (weights + keys_and_values) / (device.read_gb_s * 1e9 * kAchievedRead);
  const double math_s = MathSeconds(model, parameters, device, tokens) / (tp * pp);

  const double activations = tokens * spec.hidden_size * kActivationBytes;
  double send_s = 2 * spec.num_layers / pp * ReduceSeconds(device, tp, activations);
  if (pp > 1) send_s += device.link_latency_us * 1e-6 + activations / (device.link_gb_s * 1e9);
  return std::max(read_s, math_s) + send_s + device.step_overhead_us * 1e-6;
}

SpeedPoint PriorPoint(const PreciseModel& model, const Layout& layout, const DeviceSpeed& device,
                      const PriorLoad& load, uint32_t concurrency) {
  const double copies = One(layout.copies()), pp = One(layout.pp());
  double running = concurrency;
  if (load.max_running > 0) running = std::min(running, copies * load.max_running);
  const double per_copy = std::max(1.0, running / copies);
  const double per_cohort = std::max(1.0, per_copy / pp);
  const double token_s = pp * PriorStepSeconds(model, layout, device, load, per_cohort);
  return {1 / token_s, running / token_s / WorldSize(layout)};
}

}  // namespace regatta
