// Routing against a full sort; experts against one token at a time, per expert-parallel rank.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>

#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

struct Routing {
  int num_experts;
  int per_token;
  bool sigmoid;
  bool normalize;
  float scaling;
};

// Ids and weights of one row in float64: all experts sorted by falling logit, then id.
void ReferenceRoute(const double* logits, const Routing& routing, std::vector<double>& ids,
                    std::vector<double>& weights) {
  std::vector<int> order(routing.num_experts);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  double all = 0;
  for (int e = 0; e < routing.num_experts; ++e) all += std::exp(logits[e]);
  std::vector<double> chosen;
  for (int i = 0; i < routing.per_token; ++i) {
    const double logit = logits[order[i]];
    chosen.push_back(routing.sigmoid ? 1 / (1 + std::exp(-logit)) : std::exp(logit) / all);
  }
  const double sum = std::accumulate(chosen.begin(), chosen.end(), 0.0);
  for (int i = 0; i < routing.per_token; ++i) {
    ids.push_back(order[i]);
    weights.push_back(chosen[i] * routing.scaling / (routing.normalize ? sum : 1));
  }
}

MoeParams ParamsOf(const Routing& routing) {
  return {.num_experts = routing.num_experts,
          .experts_per_token = routing.per_token,
          .sigmoid = routing.sigmoid,
          .normalize_topk = routing.normalize,
          .routed_scaling = routing.scaling,
          .first_expert = 0,
          .num_local = routing.num_experts};
}

void CheckRoute(Ops& ops, const Routing& routing, int64_t tokens) {
  Random random(TestSeed());
  DeviceTensor logits =
      DeviceTensor::Normal(ops, DType::kFloat32, {tokens, routing.num_experts}, random, 3);
  std::vector<double> values = logits.Read();
  for (double& value : values) {
    if (random() % 4 == 0) value = std::round(value);  // ties
  }
  logits.Write(values);
  const DeviceTensor ids(ops, DType::kInt32, {tokens, routing.per_token});
  const DeviceTensor weights(ops, DType::kFloat32, {tokens, routing.per_token});
  ops.MoeRoute(logits, ParamsOf(routing), ids, weights);
  std::vector<double> want_ids, want_weights;
  for (int64_t t = 0; t < tokens; ++t) {
    ReferenceRoute(values.data() + t * routing.num_experts, routing, want_ids, want_weights);
  }
  EXPECT_EQ(ids.Read(), want_ids);
  ExpectNear(weights.Read(), want_weights, 2e-6, 1e-9, "weights");
}

struct ExpertShape {
  int64_t tokens;
  int64_t hidden;
  int64_t width;
  int num_experts;
  int per_token;
  std::optional<WeightForm> form = std::nullopt;  // of E4M3 weights
};

// All experts of a layer: weights, and their values for the reference.
struct Experts {
  std::vector<TestWeight> gate_up;
  std::vector<TestWeight> down;

  Experts(Ops& ops, DType dtype, const ExpertShape& shape, Random& random) {
    const WeightUse use = WeightUse::kExpert;
    const auto make = [&](int64_t out, int64_t in) {
      return shape.form.has_value() ? QuantizedWeight(ops, *shape.form, out, in, random, use)
                                    : NormalWeight(ops, dtype, out, in, random, use);
    };
    for (int e = 0; e < shape.num_experts; ++e) {
      gate_up.push_back(make(2 * shape.width, shape.hidden));
      down.push_back(make(shape.hidden, shape.width));
    }
  }
  MoeWeights Local(int first, int count) const {
    MoeWeights weights;
    for (int e = first; e < first + count; ++e) {
      weights.experts.push_back({gate_up[e].weight.get(), down[e].weight.get()});
    }
    return weights;
  }
};

std::vector<double> MatVec(const std::vector<double>& w, const std::vector<double>& x) {
  std::vector<double> out(w.size() / x.size());
  for (size_t n = 0; n < out.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) out[n] += w[n * x.size() + k] * x[k];
  }
  return out;
}

std::vector<double> ReferenceExpert(const Experts& experts, int e, const std::vector<double>& x) {
  const std::vector<double> gate_up = MatVec(experts.gate_up[e].values, x);
  std::vector<double> activated(gate_up.size() / 2);
  for (size_t i = 0; i < activated.size(); ++i) {
    activated[i] = gate_up[i] / (1 + std::exp(-gate_up[i])) * gate_up[activated.size() + i];
  }
  return MatVec(experts.down[e].values, activated);
}

// Random distinct experts per token; `ids` are biased so that some experts get no token at all.
void RandomChoices(const ExpertShape& shape, Random& random, std::vector<double>& ids,
                   std::vector<double>& weights) {
  std::uniform_real_distribution<double> uniform(0.1, 1);
  for (int64_t t = 0; t < shape.tokens; ++t) {
    std::vector<int> order(shape.num_experts);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end() - (t % 2), random);
    for (int i = 0; i < shape.per_token; ++i) {
      ids.push_back(order[i]);
      weights.push_back(uniform(random));
    }
  }
}

// Each of `ranks` expert-parallel ranks must match the reference of its own experts, and so their
// sum the whole.
void CheckExperts(Ops& ops, DType dtype, const ExpertShape& shape, int ranks) {
  Random random(TestSeed());
  const Experts experts(ops, dtype, shape, random);
  const DeviceTensor x =
      DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.hidden}, random, 1, shape.hidden + 4);
  std::vector<double> ids, routing_weights;
  RandomChoices(shape, random, ids, routing_weights);
  DeviceTensor device_ids(ops, DType::kInt32, {shape.tokens, shape.per_token});
  DeviceTensor device_weights(ops, DType::kFloat32, {shape.tokens, shape.per_token});
  device_ids.Write(ids);
  device_weights.Write(routing_weights);
  const std::vector<double> all_x = x.Read();
  const int local = shape.num_experts / ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    MoeParams params = ParamsOf({shape.num_experts, shape.per_token, false, true, 1});
    params.first_expert = rank * local;
    params.num_local = local;
    ops.Reserve(kCaseMaxTokens, kCaseMaxTokens, params, static_cast<int>(shape.width),
                static_cast<int>(shape.hidden), kCaseMaxVocab);
    const DeviceTensor out(ops, dtype, {shape.tokens, shape.hidden}, shape.hidden + 1);
    ops.MoeExperts(x, device_ids, device_weights, params, experts.Local(params.first_expert, local),
                   out);
    std::vector<double> want(shape.tokens * shape.hidden);
    for (int64_t t = 0; t < shape.tokens; ++t) {
      const std::vector<double> row(all_x.begin() + t * shape.hidden,
                                    all_x.begin() + (t + 1) * shape.hidden);
      for (int i = 0; i < shape.per_token; ++i) {
        const int id = static_cast<int>(ids[t * shape.per_token + i]);
        if (id < params.first_expert || id >= params.first_expert + local) continue;
        const double weight = static_cast<float>(routing_weights[t * shape.per_token + i]);
        const std::vector<double> y = ReferenceExpert(experts, id, row);
        for (int64_t c = 0; c < shape.hidden; ++c) want[t * shape.hidden + c] += weight * y[c];
      }
    }
    // A backend may round the values between projections to the activation dtype.
    // And the weights that it unpacks.
    const double unpacked = shape.form.has_value() ? 8 * RoundingOf(dtype) + 1e-5 : 0;
    ExpectNear(out.Read(), want, RoundingOf(dtype) * 1.01, 4 * RoundingOf(dtype) + 2e-6 + unpacked,
               "MoE");
  }
}

}  // namespace

std::vector<OpCase> MoeCases() {
  std::vector<OpCase> cases;
  const Routing routings[] = {{8, 2, false, true, 1},   {8, 2, false, false, 1},
                              {8, 1, true, true, 2.5},  {60, 4, true, false, 1},
                              {128, 8, false, true, 1}, {4, 4, true, true, 0.5},
                              {1, 1, false, false, 1}};
  for (const Routing& r : routings) {
    for (const int64_t tokens : {1, 3, 129}) {
      cases.push_back(
          {CaseName("MoeRoute", r.num_experts, r.per_token, r.sigmoid ? "sigmoid" : "softmax",
                    r.normalize ? "normalized" : "plain", tokens),
           [=](Ops& ops) { CheckRoute(ops, r, tokens); }});
    }
  }
  const ExpertShape shapes[] = {
      {1, 64, 32, 8, 2}, {3, 48, 20, 4, 1}, {17, 64, 128, 8, 2}, {129, 96, 64, 16, 4}};
  const auto add_quantized = [&](DType dtype) {
    for (const WeightForm form : kWeightForms) {
      for (ExpertShape shape : {ExpertShape{1, 128, 128, 8, 2}, ExpertShape{3, 48, 20, 4, 1},
                                ExpertShape{129, 256, 128, 8, 2}}) {
        shape.form = form;
        cases.push_back({CaseName("QuantizedExperts", DTypeName(dtype), FormName(form),
                                  shape.tokens, shape.hidden),
                         [=](Ops& ops) { CheckExperts(ops, dtype, shape, 2); }});
      }
    }
  };
  for (const DType dtype : kActivationTypes) {
    add_quantized(dtype);
    for (const ExpertShape& shape : shapes) {
      for (const int ranks : {1, 2, 4}) {
        cases.push_back({CaseName("MoeExperts", DTypeName(dtype), shape.tokens, shape.num_experts,
                                  shape.per_token, "ep", ranks),
                         [=](Ops& ops) { CheckExperts(ops, dtype, shape, ranks); }});
      }
    }
  }
  return cases;
}

}  // namespace regatta
