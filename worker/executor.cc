// One rank: forms itself from a FormRequest, then runs plans one after another.
#include "worker/executor.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/hash.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "worker/batch.h"
#include "worker/form_request.h"
#include "worker/host_memory.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/sampler.h"
#include "worker/shared_memory_group.h"
#include "worker/slot_table.h"
#include "worker/step_inputs.h"
#include "worker/token_relay.h"
#include "worker/weights.h"

namespace regatta {
namespace {

// A backstop: a peer's death is noticed within 100 ms, and a stall by the router long before this.
constexpr absl::Duration kCollectiveTimeout = absl::Minutes(5);

using Progress = std::function<void(const FormProgress&)>;
using Steady = std::chrono::steady_clock;

double SecondsSince(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

class ShardExecutor final : public Executor {
 public:
  ShardExecutor(const FormRequest& request, int num_threads, const std::atomic<bool>& stop,
                const Progress& progress)
      : request_(request), stop_(stop), progress_(progress), ops_(MakeCpuOps(num_threads)) {}

  absl::Status Form();
  absl::StatusOr<StepResult> Run(const std::string& bytes) override;
  bool samples() const override { return position_.last_stage && position_.tp_rank == 0; }
  const Formed& formed() const override { return formed_; }
  void Abort(const std::string& reason) override {
    if (group_ != nullptr) group_->Abort(reason);
  }

 private:
  absl::Status Connect();
  absl::Status Load();
  absl::Status AllocateCache();
  absl::Status BuildModel();
  absl::StatusOr<std::vector<int64_t>> GatherFromAllRanks(int64_t mine);
  absl::Status Report(const char* stage, double fraction) const;
  // Of communication and of the device, since forming.
  absl::Status Health();

  const FormRequest request_;
  const std::atomic<bool>& stop_;
  Progress progress_;
  ModelSpec spec_;
  RankPosition position_;
  Formed formed_;

  // In this order, so that what is used outlives what uses it.
  std::unique_ptr<Ops> ops_;
  std::shared_ptr<SharedMemoryGroup> group_;  // null for one rank alone
  std::unique_ptr<Communicator> world_;
  RankCommunicators communicators_;
  ShardWeights weights_;
  KvCache cache_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<SlotTable> slots_;
  std::unique_ptr<Sampler> sampler_;   // last stage
  std::unique_ptr<TokenRelay> relay_;  // first and last stage of a pipeline
  std::unique_ptr<StepInputs> inputs_;

  StepPlan plan_;  // reused, as its memory is
  StepBatch batch_;
};

absl::StatusOr<StepResult> ShardExecutor::Run(const std::string& bytes) {
  const Steady::time_point start = Steady::now();
  if (!plan_.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("plan after step ", slots_->last_step(), ": ",
                                                   bytes.size(), " bytes that are no StepPlan"));
  }
  RETURN_IF_ERROR(slots_->Apply(plan_));
  const bool first_of_pipeline = relay_ != nullptr && position_.first_stage;
  if (first_of_pipeline) RETURN_IF_ERROR(relay_->ReceiveFor(plan_, *slots_));
  BuildBatch(plan_, *slots_, batch_);

  Tensor logits;
  if (batch_.num_tokens() > 0) logits = model_->Forward(inputs_->Upload(batch_));
  RETURN_IF_ERROR(Health());

  StepResult result;
  if (position_.last_stage) {
    sampler_->Admit(plan_, *slots_);
    const std::vector<uint32_t>& drawn = sampler_->Sample(plan_, batch_, logits, *model_, result);
    for (size_t i = 0; i < drawn.size(); ++i) {
      const uint32_t slot = plan_.slot(batch_.sample_entries[i]);
      slots_->SetLastToken(slot, slots_->slot(slot).generation, drawn[i]);
    }
    if (relay_ != nullptr) relay_->Send(drawn);
  }
  if (first_of_pipeline) relay_->Expect(plan_, batch_, *slots_);
  slots_->Advance(plan_);
  RETURN_IF_ERROR(Health());

  if (!samples()) result.Clear();
  result.set_step_id(plan_.step_id());
  result.set_plan_hash(Fnv1a(bytes));
  result.set_compute_ns(static_cast<uint64_t>(SecondsSince(start) * 1e9));
  return result;
}

absl::Status ShardExecutor::Health() {
  for (const Communicator* communicator :
       {communicators_.attention_tp.get(), communicators_.pipeline.get()}) {
    RETURN_IF_ERROR(communicator->status());
  }
  std::string fault;
  if (!ops_->Sync(&fault)) return absl::InternalError(absl::StrCat("device fault: ", fault));
  return absl::OkStatus();
}

absl::Status ShardExecutor::Form() {
  ASSIGN_OR_RETURN(spec_, LoadModelSpec(request_.model().path()));
  RETURN_IF_ERROR(CheckFormRequest(request_, spec_));
  position_ = PositionOf(spec_, request_.layout(), request_.rank());
  RETURN_IF_ERROR(Connect());
  RETURN_IF_ERROR(Load());
  RETURN_IF_ERROR(AllocateCache());
  RETURN_IF_ERROR(BuildModel());
  formed_.set_vocab_size(static_cast<uint32_t>(spec_.vocab_size));
  formed_.set_weight_bytes(weights_.num_bytes);
  formed_.set_dtype(DTypeName(weights_.dtype));
  return absl::OkStatus();
}

absl::Status ShardExecutor::Connect() {
  RETURN_IF_ERROR(Report("connect", 0));
  const Steady::time_point start = Steady::now();
  const int world = static_cast<int>(RanksPerCopy(request_.layout()));
  const int tp = std::max<int>(request_.layout().attention_tp(), 1);
  const int stages = world / tp;
  if (world > 1) {
    ASSIGN_OR_RETURN(group_, SharedMemoryGroup::Join(
                                 request_.communicator_id(), static_cast<int>(request_.rank()),
                                 absl::Milliseconds(request_.timeout_ms()), &stop_));
    if (group_->world_size() != world) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the group was prepared for ", group_->world_size(), " ranks, the layout has ", world));
    }
  }
  const auto communicator = [this](int first, int stride, int count) {
    return count == 1
               ? MakeSelfCommunicator()
               : MakeSharedMemoryCommunicator(group_, first, stride, count, kCollectiveTimeout);
  };
  world_ = communicator(0, 1, world);
  communicators_.attention_tp = communicator(static_cast<int>(position_.stage) * tp, 1, tp);
  communicators_.pipeline = communicator(static_cast<int>(position_.tp_rank), tp, stages);
  formed_.set_connect_seconds(SecondsSince(start));
  return absl::OkStatus();
}

absl::Status ShardExecutor::Load() {
  const Steady::time_point start = Steady::now();
  double reported = 0;
  const auto report = [&](double fraction) {
    if (fraction < reported + 0.01 && fraction < 1) return;
    reported = fraction;
    Report("load", fraction).IgnoreError();  // a stop is noticed below
  };
  ASSIGN_OR_RETURN(
      weights_, LoadWeights(request_.model(), spec_, request_.layout(), position_, *ops_, report));
  formed_.set_load_seconds(SecondsSince(start));
  return Report("load", 1);
}

// The number of blocks is what the rank with the least room can hold, so that block ids mean the
// same on all.
absl::Status ShardExecutor::AllocateCache() {
  RETURN_IF_ERROR(Report("allocate", 0));
  KvShape shape = {.num_layers = position_.end_layer - position_.first_layer,
                   .block_size = static_cast<int>(request_.block_size()),
                   .num_kv_heads = weights_.shape.num_kv_heads,
                   .head_dim = spec_.head_dim};
  ASSIGN_OR_RETURN(shape.dtype, ResolveKvDType(request_.model().kv_cache_dtype(), weights_.dtype));
  const uint64_t useful = uint64_t{request_.limits().max_batch_size()} *
                          SlotLimitsOf(request_, spec_, 0).max_blocks_per_slot();
  // Ranks share this host: each takes its part of what is left once all have loaded.
  RETURN_IF_ERROR(GatherFromAllRanks(0).status());
  const uint64_t free_bytes = AvailableHostMemory() / world_->size();
  const uint64_t mine = NumKvBlocks(shape, free_bytes, request_.kv_cache_fraction(), useful,
                                    request_.max_kv_blocks());
  ASSIGN_OR_RETURN(const std::vector<int64_t> all, GatherFromAllRanks(static_cast<int64_t>(mine)));
  const int64_t blocks = *std::min_element(all.begin(), all.end());
  if (blocks == 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for one KV block of ", shape.BlockBytes(), " bytes in ",
                     request_.kv_cache_fraction(), " of ", free_bytes, " bytes left"));
  }
  ASSIGN_OR_RETURN(cache_, KvCache::Allocate(shape, blocks, *ops_));
  formed_.set_kv_blocks(static_cast<uint32_t>(blocks));
  formed_.set_kv_cache_dtype(DTypeName(shape.dtype));
  formed_.set_kv_bytes(shape.BlockBytes() * blocks);
  return absl::OkStatus();
}

absl::Status ShardExecutor::BuildModel() {
  const SlotLimits limits = SlotLimitsOf(request_, spec_, formed_.kv_blocks());
  const StepLimits step = {.max_tokens = static_cast<int>(limits.max_num_tokens),
                           .max_rows = static_cast<int>(limits.num_slots),
                           .max_seq_len = static_cast<int>(limits.max_seq_len)};
  ASSIGN_OR_RETURN(model_, Model::Create(spec_, position_, weights_, cache_.layers(), *ops_,
                                         communicators_, step));
  ASSIGN_OR_RETURN(inputs_, StepInputs::Create(limits, *ops_));
  slots_ = std::make_unique<SlotTable>(limits);
  if (position_.last_stage) {
    sampler_ = std::make_unique<Sampler>(*ops_, step.max_rows);
    RETURN_IF_ERROR(sampler_->Allocate(limits.penalty_rows, limits.vocab_size));
  }
  if (communicators_.pipeline->size() > 1 && (position_.first_stage || position_.last_stage)) {
    relay_ = std::make_unique<TokenRelay>(*communicators_.pipeline, request_.max_inflight());
  }
  return Report("allocate", 1);
}

absl::StatusOr<std::vector<int64_t>> ShardExecutor::GatherFromAllRanks(int64_t mine) {
  std::vector<int64_t> all(world_->size());
  world_->AllGather(Tensor::Of(&mine, DType::kInt64, 1),
                    Tensor::Of(all.data(), DType::kInt64, static_cast<int64_t>(all.size())));
  RETURN_IF_ERROR(world_->status());
  return all;
}

absl::Status ShardExecutor::Report(const char* stage, double fraction) const {
  FormProgress message;
  message.set_stage(stage);
  message.set_fraction(fraction);
  progress_(message);
  return stop_ ? absl::CancelledError(absl::StrCat("told to stop while forming: ", stage))
               : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Executor>> Executor::Form(
    const FormRequest& request, int num_threads, const std::atomic<bool>& stop,
    const std::function<void(const FormProgress&)>& progress) {
  auto executor = std::make_unique<ShardExecutor>(request, num_threads, stop, progress);
  if (absl::Status status = executor->Form(); !status.ok()) {
    executor->Abort(absl::StrCat("rank ", request.rank(), ": ", std::string(status.message())));
    return status;
  }
  return executor;
}

}  // namespace regatta
