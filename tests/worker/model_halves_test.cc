// Large steps in two halves whose sums run beside one another's products: the same bits as in one,
// with sums that are taken as late as they may be. Two CPU ranks in threads.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <numeric>
#include <thread>

#include "common/status_macros.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/plan_fixture.h"
#include "tests/worker/tiny_models.h"
#include "worker/batch.h"
#include "worker/device.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/step_inputs.h"
#include "worker/weights/weights.h"

namespace regatta {
namespace {

constexpr int kRanks = 2;
constexpr int kTokens = 70;
constexpr int kBlockSize = 16;

// A communicator whose sums are not begun before they are awaited, or nothing could be issued
// between; counts them.
class LateSums final : public Communicator {
 public:
  explicit LateSums(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}

  int size() const override { return inner_->size(); }
  int rank() const override { return inner_->rank(); }
  void AllReduceSum(const Tensor& x) override {
    EXPECT_TRUE(begun_.empty()) << "a collective amid sums that run beside others";
    inner_->AllReduceSum(x);
  }
  void BeginSum(const Tensor& x) override {
    EXPECT_LT(begun_.size(), size_t{kSumsBeside});
    EXPECT_LE(x.num_bytes(), BesideBytes());
    begun_.push_back(x);
    ++sums_;
  }
  void AwaitSum() override {
    ASSERT_FALSE(begun_.empty());
    inner_->AllReduceSum(begun_.front());
    begun_.pop_front();
  }
  size_t BesideBytes() const override { return 1 << 20; }
  void AllGather(const Tensor& x, const Tensor& out) override { inner_->AllGather(x, out); }
  void ReduceScatter(const Tensor& x, const Tensor& out) override { inner_->ReduceScatter(x, out); }
  void Broadcast(const Tensor& x, int root) override { inner_->Broadcast(x, root); }
  void Send(const Tensor& x, int peer, int channel) override { inner_->Send(x, peer, channel); }
  void Recv(const Tensor& x, int peer, int channel) override { inner_->Recv(x, peer, channel); }
  absl::Status status() const override { return inner_->status(); }
  void Abort(const std::string& reason) override { inner_->Abort(reason); }

  int sums() const { return sums_; }
  bool idle() const { return begun_.empty(); }

 private:
  const std::unique_ptr<Communicator> inner_;
  std::deque<Tensor> begun_;
  int sums_ = 0;
};

struct Computed {
  std::vector<float> logits;
  int sums_beside = 0;
};

// The logits of every token of one prompt, by one rank of the group `id`.
absl::StatusOr<Computed> ComputeOn(const std::string& id, int rank, const ModelSource& source,
                                   Device& device, int whole_tokens) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Ops> ops, device.MakeOps());
  ASSIGN_OR_RETURN(ModelSpec spec, LoadModelSpec(source.path()));
  ASSIGN_OR_RETURN(spec.quantization,
                   ResolveQuantization(source.quantization(), true, spec.quantization));
  const Layout layout = LayoutOf(kRanks);
  const RankPosition position = PositionOf(spec, layout, rank);
  ASSIGN_OR_RETURN(const auto group,
                   device.Join(id, rank, kRanks, absl::Seconds(60), nullptr, *ops));
  ASSIGN_OR_RETURN(auto tp, group->MakeCommunicator(0, 1, kRanks));
  auto late = std::make_unique<LateSums>(std::move(tp));
  const LateSums& sums = *late;
  const RankCommunicators communicators = {std::move(late), MakeSelfCommunicator()};
  ASSIGN_OR_RETURN(const ShardWeights weights,
                   LoadWeights(source, spec, layout, position, *ops, nullptr));
  const KvShape kv = {spec.num_layers, kBlockSize, weights.shape.num_kv_heads, spec.head_dim,
                      weights.dtype};
  ASSIGN_OR_RETURN(const KvCache cache, KvCache::Allocate(kv, 16, *ops));
  ASSIGN_OR_RETURN(const auto model,
                   Model::Create(spec, position, weights, cache.layers(), *ops, communicators,
                                 {.max_tokens = 128,
                                  .max_rows = kTokens,
                                  .max_seq_len = 128,
                                  .whole_tokens = whole_tokens}));
  const SlotLimits limits = {
      kTokens, 128, 128, kBlockSize, 16, static_cast<uint32_t>(spec.vocab_size), 0};
  ASSIGN_OR_RETURN(const auto inputs, StepInputs::Create(limits, *ops));
  ASSIGN_OR_RETURN(const Buffer staging, inputs->MakeStaging());
  StepBatch batch;
  FillPrompt(kTokens, batch);
  batch.context_length = {kTokens};
  batch.block_table.assign((kTokens + kBlockSize - 1) / kBlockSize, 0);
  std::iota(batch.block_table.begin(), batch.block_table.end(), 0);
  for (int i = 0; i < kTokens; ++i) {
    batch.token_ids[i] = 7 * i % 256;
    batch.positions[i] = i;
    batch.kv_slot[i] = i;  // blocks in a row
  }
  batch.max_context_length = kTokens;
  ForwardInput input = inputs->Upload(batch, staging);
  std::vector<int32_t> rows(kTokens);
  for (int i = 0; i < kTokens; ++i) rows[i] = i;
  input.logit_rows = rows.data();  // memory of the host is that of the device here
  input.num_logit_rows = kTokens;
  const Tensor logits = model->Forward(input);
  RETURN_IF_ERROR(sums.status());
  EXPECT_TRUE(sums.idle());
  Computed computed = {std::vector<float>(logits.num_elements()), sums.sums()};
  std::memcpy(computed.logits.data(), logits.data, logits.num_bytes());
  return computed;
}

class ModelHalvesTest : public ::testing::TestWithParam<const char*> {
 protected:
  // What rank 0 computed; the other must have the same bits.
  Computed RunGroup(int whole_tokens) {
    if (std::string(GetParam()) == "block") {
      dir_.Write("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 64, "intermediate_size": 512, "vocab_size": 256,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16", "hidden_act": "silu",
        "eos_token_id": 1, "quantization_config": {"quant_method": "fp8", "fmt": "e4m3",
        "activation_scheme": "dynamic", "weight_block_size": [128, 128]}})");
    } else {
      dir_.Write("config.json", TinyLlama());
    }
    ModelSource source;
    source.set_path(dir_.path());
    source.set_dummy_weights(true);
    source.set_quantization(std::string(GetParam()) == "block" ? "" : GetParam());
    auto device = OpenDevice("cpu", 1);
    CHECK(device.ok()) << device.status();
    auto offer = (*device)->Offer(kRanks);
    CHECK(offer.ok()) << offer.status();
    absl::StatusOr<Computed> computed[kRanks] = {absl::UnknownError(""), absl::UnknownError("")};
    std::vector<std::thread> threads;
    for (int rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        auto own = OpenDevice("cpu", 1);
        CHECK(own.ok()) << own.status();
        computed[rank] = ComputeOn((*offer)->id(), rank, source, **own, whole_tokens);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& one : computed) CHECK(one.ok()) << one.status();
    EXPECT_EQ(computed[0]->logits, computed[1]->logits);
    return *std::move(computed[0]);
  }

  TempDir dir_;
};

TEST_P(ModelHalvesTest, GiveTheSameBits) {
  constexpr int kLayers = 8;
  const Computed whole = RunGroup(0), halved = RunGroup(kTokens - 1);
  EXPECT_EQ(whole.sums_beside, 0);
  EXPECT_EQ(halved.sums_beside, 2 * 2 * kLayers);  // of two halves, behind attention and MLP
  ASSERT_FALSE(whole.logits.empty());
  EXPECT_NE(whole.logits.front(), whole.logits.back());
  EXPECT_EQ(halved.logits, whole.logits);
}

TEST_P(ModelHalvesTest, OfLargeStepsAlone) { EXPECT_EQ(RunGroup(kTokens).sums_beside, 0); }

INSTANTIATE_TEST_SUITE_P(Formats, ModelHalvesTest,
                         ::testing::Values("", "fp8", "fp8_static", "block"));

}  // namespace
}  // namespace regatta
