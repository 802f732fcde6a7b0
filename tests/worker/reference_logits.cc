// reference_logits DIR [DEVICE [DTYPE]]: the logits of a checkpoint written by
// tests/gpu/make_reference.py, prompts batched together and continued token by token, against those
// of transformers. Exits with 1 when they are further off than transformers' own bfloat16 by half,
// or 1e-4 in float32.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/check.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "worker/batch.h"
#include "worker/device.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/slot_table.h"
#include "worker/step_inputs.h"

namespace regatta {
namespace {

constexpr uint32_t kBlockSize = 16;

struct Reference {
  std::vector<uint32_t> lengths;
  uint32_t continued = 0;
  int64_t vocab = 0;
  double bfloat16_error = 0;
  std::vector<std::vector<int32_t>> tokens;  // prompt and continuation, per sequence
  std::vector<float> logits;                 // [sequence][continued + 1][vocab]

  const float* LogitsOf(size_t sequence, uint32_t step) const {
    return logits.data() + (sequence * (continued + 1) + step) * vocab;
  }
};

template <typename T>
void ReadValues(const std::string& path, std::vector<T>& values) {
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), values.size() * sizeof(T));
  CHECK(file.gcount() == static_cast<std::streamsize>(values.size() * sizeof(T))) << path;
}

Reference Load(const std::string& dir) {
  const auto json = nlohmann::json::parse(std::ifstream(dir + "/reference.json"));
  Reference reference;
  reference.lengths = json.at("lengths").get<std::vector<uint32_t>>();
  reference.continued = json.at("continued").get<uint32_t>();
  reference.vocab = json.at("vocab").get<int64_t>();
  reference.bfloat16_error = json.at("bfloat16_error").get<double>();
  std::ifstream tokens(dir + "/tokens.i32", std::ios::binary);
  for (const uint32_t length : reference.lengths) {
    std::vector<int32_t>& row = reference.tokens.emplace_back(length + reference.continued);
    tokens.read(reinterpret_cast<char*>(row.data()), row.size() * sizeof(int32_t));
  }
  reference.logits.resize(reference.lengths.size() * (reference.continued + 1) * reference.vocab);
  ReadValues(dir + "/logits.f32", reference.logits);
  return reference;
}

// Step 0 runs all prompts, step k the k-th continuation of each.
StepPlan PlanOf(const Reference& reference, uint32_t step) {
  StepPlan plan;
  plan.set_step_id(step + 1);
  uint32_t next_block = 0;
  for (uint32_t s = 0; s < reference.lengths.size(); ++s) {
    const uint32_t length = reference.lengths[s];
    const uint32_t blocks = (length + reference.continued + kBlockSize - 1) / kBlockSize;
    if (step == 0) {
      Admission& admission = *plan.add_admissions();
      admission.set_slot(s);
      admission.set_prompt_length(length);
      for (uint32_t i = 0; i < blocks; ++i) plan.add_new_blocks(next_block + blocks - 1 - i);
    }
    next_block += blocks;
    const uint32_t start = step == 0 ? 0 : length + step - 1;
    const uint32_t count = step == 0 ? length : 1;
    plan.add_slot(s);
    plan.add_start(start);
    plan.add_count(count);
    plan.add_flags(STEP_FLAG_SAMPLE | STEP_FLAG_INLINE_TOKENS);
    plan.add_new_block_count(step == 0 ? blocks : 0);
    for (uint32_t i = start; i < start + count; ++i) plan.add_tokens(reference.tokens[s][i]);
  }
  return plan;
}

struct Errors {
  double squared = 0, reference = 0;
  int same_choice = 0, rows = 0;

  void Add(const std::vector<float>& got, const Reference& want, uint32_t step) {
    for (size_t s = 0; s < want.lengths.size(); ++s) {
      const float* expected = want.LogitsOf(s, step);
      const float* row = got.data() + s * want.vocab;
      for (int64_t i = 0; i < want.vocab; ++i) {
        squared += std::pow(static_cast<double>(row[i]) - expected[i], 2);
        reference += std::pow(static_cast<double>(expected[i]), 2);
      }
      same_choice += std::max_element(row, row + want.vocab) - row ==
                     std::max_element(expected, expected + want.vocab) - expected;
      ++rows;
    }
  }
  double relative() const { return std::sqrt(squared / reference); }
};

absl::StatusOr<Errors> Compare(const Reference& reference, const std::string& model_dir,
                               const std::string& device_name, const std::string& dtype) {
  ASSIGN_OR_RETURN(const auto device, OpenDevice(device_name, 2));
  ASSIGN_OR_RETURN(const std::unique_ptr<Ops> ops, device->MakeOps());
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(model_dir));
  ASSIGN_OR_RETURN(const Layout layout, MakeLayout(1, 1, 1, 1));
  const RankPosition position = PositionOf(spec, layout, 0);
  ModelSource source;
  source.set_path(model_dir);
  source.set_dtype(dtype);
  ASSIGN_OR_RETURN(const ShardWeights weights,
                   LoadWeights(source, spec, layout, position, *ops, nullptr));
  const int sequences = static_cast<int>(reference.lengths.size());
  const KvShape kv = {spec.num_layers, kBlockSize, spec.num_kv_heads, spec.head_dim, weights.dtype};
  ASSIGN_OR_RETURN(const KvCache cache, KvCache::Allocate(kv, 64, *ops));
  const RankCommunicators alone = {MakeSelfCommunicator(), MakeSelfCommunicator()};
  ASSIGN_OR_RETURN(const auto model,
                   Model::Create(spec, position, weights, cache.layers(), *ops, alone,
                                 {.max_tokens = 512, .max_rows = sequences, .max_seq_len = 512}));
  const SlotLimits limits = {static_cast<uint32_t>(sequences),       512, 512, kBlockSize, 64,
                             static_cast<uint32_t>(spec.vocab_size), 0};
  ASSIGN_OR_RETURN(const auto inputs, StepInputs::Create(limits, *ops));
  ASSIGN_OR_RETURN(const Buffer staging, inputs->MakeStaging());
  SlotTable slots(limits);
  StepBatch batch;
  Errors errors;
  std::vector<float> got(sequences * reference.vocab);
  for (uint32_t step = 0; step <= reference.continued; ++step) {
    const StepPlan plan = PlanOf(reference, step);
    RETURN_IF_ERROR(slots.Apply(plan));
    BuildBatch(plan, slots, batch);
    const Tensor logits = model->Forward(inputs->Upload(batch, staging));
    ops->CopyToHost(got.data(), logits.data, got.size() * sizeof(float));
    std::string fault;
    if (!ops->Sync(&fault)) return absl::InternalError(fault);
    errors.Add(got, reference, step);
    slots.Advance(plan);
  }
  return errors;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: reference_logits DIR [DEVICE [DTYPE]]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const std::string device = argc > 2 ? argv[2] : ListDevices().front();
  const std::string dtype = argc > 3 ? argv[3] : "bfloat16";
  const Reference reference = Load(dir);
  const absl::StatusOr<Errors> errors = Compare(reference, dir + "/model", device, dtype);
  if (!errors.ok()) {
    std::fprintf(stderr, "%s\n", errors.status().ToString().c_str());
    return 1;
  }
  const double bound = dtype == "float32" ? 1e-4 : 1.5 * reference.bfloat16_error;
  const bool within = errors->relative() <= bound;
  std::printf(
      "%s %s: relative error %.2e (transformers in bfloat16: %.2e), same choice %d of %d: %s\n",
      device.c_str(), dtype.c_str(), errors->relative(), reference.bfloat16_error,
      errors->same_choice, errors->rows, within ? "within bounds" : "TOO FAR");
  return within ? 0 : 1;
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) { return regatta::Main(argc, argv); }
