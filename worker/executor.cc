// One rank: forms itself from a FormRequest, then launches plans one after another.
#include "worker/executor.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/hash.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "worker/batch.h"
#include "worker/cleanup_deadline.h"
#include "worker/form_request.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/product_tuning.h"
#include "worker/sampler.h"
#include "worker/slot_table.h"
#include "worker/step_flights.h"
#include "worker/step_graphs.h"
#include "worker/step_inputs.h"
#include "worker/token_relay.h"
#include "worker/weights/weights.h"

namespace regatta {
namespace {

using Progress = std::function<void(const FormProgress&)>;
using Steady = std::chrono::steady_clock;

constexpr absl::Duration kLookAtDevice = absl::Microseconds(50);  // while masks are awaited

double SecondsSince(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

class ShardExecutor final : public Executor {
 public:
  ShardExecutor(const FormRequest& request, Device& device, const std::atomic<bool>& stop,
                const Progress& progress)
      : request_(request), device_(device), stop_(stop), progress_(progress) {}

  // Any thread may end a rank.
  ~ShardExecutor() override {
    if (ops_ != nullptr) ops_->BindThread();
  }

  absl::Status Form();
  absl::Status Launch(const std::string& bytes, SampleInputs& inputs) override;
  absl::StatusOr<StepResult> Collect() override;
  bool draws() const override { return position_.last_stage; }
  bool samples() const override { return draws() && position_.tp_rank == 0; }
  const Formed& formed() const override { return formed_; }
  void Abort(const std::string& reason) override {
    if (group_ != nullptr) group_->Abort(reason);
    if (flights_ != nullptr) flights_->Abort(reason);
  }

 private:
  absl::Status Connect();
  absl::StatusOr<size_t> BesideBytes() const;
  absl::Status Load();
  absl::Status BuildModel();
  absl::Status AllocateCache();
  absl::Status BuildFlights();
  bool HasGraphs() const { return ops_->HasGraphs() && !request_.graphs().disabled(); }
  StepGraphs::Shapes ShapesOfGraphs() const;
  absl::Status RecordGraphs();
  absl::Status WithRoomForGraphs(const absl::Status& failed, uint64_t free_bytes) const;
  absl::StatusOr<std::vector<int64_t>> GatherFromAllRanks(int64_t mine);
  absl::Status Report(const char* stage, double fraction) const;

  // Issues the forward pass of batch_. Gives the logits of its draws, and where drawn tokens go.
  Tensor Forward(const StepFlight& flight, const int32_t** sample_slots);
  Tensor ForwardInOne(const ForwardInput& input);
  absl::Status Draw(const Tensor& logits, const int32_t* sample_slots, SampleInputs& inputs,
                    StepFlight& flight);
  // Waits for the masks that plan_ awaits, if any, and takes them.
  absl::Status AwaitMasks(SampleInputs& inputs, StepFlight& flight);
  void AwaitWorkBeforeMasks(SampleInputs& inputs, const StepFlight& flight);
  // Of communication and of what was issued, since forming.
  absl::Status Health();
  // Of communication; thread-safe.
  absl::Status Connected() const;

  const FormRequest request_;
  Device& device_;
  const std::atomic<bool>& stop_;
  Progress progress_;
  ModelSpec spec_;
  RankPosition position_;
  SlotLimits limits_;
  Formed formed_;

  // In this order, so that what is used outlives what uses it.
  std::unique_ptr<Ops> ops_;
  std::shared_ptr<RankGroup> group_;  // null for one rank alone
  std::unique_ptr<Communicator> world_;
  RankCommunicators communicators_;
  ShardWeights weights_;
  KvRoom kv_room_;
  KvCache cache_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<SlotTable> slots_;
  std::unique_ptr<Sampler> sampler_;  // last stage
  std::unique_ptr<StepInputs> inputs_;
  std::unique_ptr<TokenRelay> relay_;   // first and last stage of a pipeline
  std::unique_ptr<StepGraphs> graphs_;  // where the backend records
  std::unique_ptr<StepFlights> flights_;

  StepPlan plan_;  // reused, as its memory is
  StepBatch batch_;
};

absl::Status ShardExecutor::Launch(const std::string& bytes, SampleInputs& inputs) {
  const Steady::time_point start = Steady::now();
  if (!plan_.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("plan after step ", slots_->last_step(), ": ",
                                                   bytes.size(), " bytes that are no StepPlan"));
  }
  RETURN_IF_ERROR(slots_->Apply(plan_));
  ASSIGN_OR_RETURN(StepFlight* const flight, flights_->Take());
  const bool first_of_pipeline = relay_ != nullptr && position_.first_stage;
  if (first_of_pipeline) RETURN_IF_ERROR(relay_->ReceiveFor(plan_, *slots_));
  BuildBatch(plan_, *slots_, batch_);

  const int32_t* sample_slots = nullptr;
  flight->idle = Steady::duration::zero();
  const Tensor logits = Forward(*flight, &sample_slots);
  RETURN_IF_ERROR(Health());
  if (draws()) RETURN_IF_ERROR(Draw(logits, sample_slots, inputs, *flight));
  if (first_of_pipeline) relay_->Expect(plan_, batch_);
  slots_->Advance(plan_);
  RETURN_IF_ERROR(Health());

  flight->step_id = plan_.step_id();
  flight->plan_hash = Fnv1a(bytes);
  flight->launched = start;
  ops_->Mark(*flight->marker);
  flights_->Launched();
  return absl::OkStatus();
}

Tensor ShardExecutor::Forward(const StepFlight& flight, const int32_t** sample_slots) {
  if (batch_.num_tokens() == 0) return {};
  const int64_t draws = static_cast<int64_t>(batch_.sample_rows.size());
  const int size = graphs_ == nullptr ? 0 : graphs_->SizeFor(batch_);
  if (size > 0) PadDecode(size, batch_);
  const ForwardInput input = inputs_->Upload(batch_, flight.staging);
  *sample_slots = input.sample_slots;
  if (size == 0) return ForwardInOne(input);
  const StepGraphs::Recorded& recorded = graphs_->For(batch_);
  recorded.graph->Replay();
  return recorded.logits ? recorded.logits.Rows(0, draws) : Tensor{};
}

// As a graph of this step alone: its kernels wait half as long for their launch. The device is busy
// with the step in front while this one is recorded; where there is none, it would wait. NCCL keeps
// memory for every graph that it is in: logits, which it gathers, are made behind the graph, and
// stages, which pass residuals by it, launch one by one.
Tensor ShardExecutor::ForwardInOne(const ForwardInput& input) {
  const bool records =
      HasGraphs() && !flights_->none_under_way() && communicators_.pipeline->size() == 1 &&
      communicators_.attention_tp->SumsAreKernels() && !model_->Halves(input.attention.num_tokens);
  if (!records) return model_->Forward(input);
  const std::unique_ptr<Graph> graph = ops_->Capture([&] { model_->RunStage(input); });
  if (graph == nullptr) return model_->Forward(input);
  graph->Replay();
  return model_->Logits(input.logit_rows, input.num_logit_rows);
}

absl::Status ShardExecutor::Draw(const Tensor& logits, const int32_t* sample_slots,
                                 SampleInputs& inputs, StepFlight& flight) {
  sampler_->Admit(plan_, *slots_);
  RETURN_IF_ERROR(AwaitMasks(inputs, flight));
  sampler_->Draw(plan_, batch_, logits, sample_slots, inputs_->drawn(), *model_, flight.pending);
  if (relay_ != nullptr) relay_->Send(sample_slots, static_cast<int>(batch_.sampling.size()));
  return absl::OkStatus();
}

absl::Status ShardExecutor::AwaitMasks(SampleInputs& inputs, StepFlight& flight) {
  if (batch_.num_masks == 0) return absl::OkStatus();
  AwaitWorkBeforeMasks(inputs, flight);
  const Steady::time_point idle_since = Steady::now();
  const absl::StatusOr<std::string> masks = inputs.Await(plan_.step_id(), [this] {
    const absl::Status status = flights_->aborted();
    return status.ok() ? Connected() : status;
  });
  flight.idle = Steady::now() - idle_since;
  absl::Status status = masks.status();
  if (status.ok()) status = sampler_->PlaceMasks(*masks, batch_.num_masks, flight.masks);
  if (status.ok()) return status;
  std::vector<uint32_t> awaiting;
  for (int entry = 0; entry < plan_.slot_size(); ++entry) {
    if (AwaitsMask(plan_, entry)) awaiting.push_back(plan_.slot(entry));
  }
  return absl::Status(status.code(),
                      absl::StrCat("step ", plan_.step_id(), ", slots ",
                                   absl::StrJoin(awaiting, ", "), ": ", status.message()));
}

// Until the device has nothing to do but for the masks, or they have come.
void ShardExecutor::AwaitWorkBeforeMasks(SampleInputs& inputs, const StepFlight& flight) {
  ops_->Mark(*flight.marker);
  std::string fault;  // Told by Collect.
  while (!flight.marker->Passed(&fault) && flights_->aborted().ok() &&
         !inputs.AwaitFor(plan_.step_id(), kLookAtDevice)) {
  }
}

absl::StatusOr<StepResult> ShardExecutor::Collect() {
  ASSIGN_OR_RETURN(StepFlight* const flight, flights_->Oldest([this] { return Connected(); }));
  StepResult result;
  if (samples()) {
    flight->pending.Complete();
    result.Swap(&flight->pending.result);
  }
  result.set_step_id(flight->step_id);
  result.set_plan_hash(flight->plan_hash);
  const Steady::duration took = Steady::now() - flight->launched - flight->idle;
  result.set_compute_ns(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
  flights_->Collected();
  return result;
}

absl::Status ShardExecutor::Connected() const {
  return group_ == nullptr ? absl::OkStatus() : group_->status();
}

absl::Status ShardExecutor::Health() {
  for (const Communicator* communicator :
       {communicators_.attention_tp.get(), communicators_.pipeline.get()}) {
    RETURN_IF_ERROR(communicator->status());
  }
  std::string fault;
  if (!ops_->Healthy(&fault)) return absl::InternalError(absl::StrCat("device fault: ", fault));
  return absl::OkStatus();
}

absl::Status ShardExecutor::Form() {
  ASSIGN_OR_RETURN(spec_, LoadModelSpec(request_.model().path()));
  RETURN_IF_ERROR(CheckFormRequest(request_, spec_));
  position_ = PositionOf(spec_, request_.layout(), request_.rank());
  ASSIGN_OR_RETURN(ops_, device_.MakeOps());
  ops_->SetDeterministic(request_.deterministic());
  RETURN_IF_ERROR(Connect());
  RETURN_IF_ERROR(Load());
  RETURN_IF_ERROR(BuildModel());
  RETURN_IF_ERROR(AllocateCache());
  RETURN_IF_ERROR(BuildFlights());
  RETURN_IF_ERROR(TuneProducts(limits_, *model_, *inputs_, *ops_, *world_,
                               [this](double done) { return Report("tune", done); }));
  if (HasGraphs()) RETURN_IF_ERROR(RecordGraphs());
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
    ASSIGN_OR_RETURN(
        group_, device_.Join(request_.communicator_id(), static_cast<int>(request_.rank()), world,
                             absl::Milliseconds(request_.timeout_ms()), &stop_, *ops_));
  }
  const auto communicator = [this](int first, int stride, int count,
                                   size_t beside_bytes =
                                       0) -> absl::StatusOr<std::unique_ptr<Communicator>> {
    if (count == 1) return MakeSelfCommunicator();
    return group_->MakeCommunicator(first, stride, count, beside_bytes);
  };
  ASSIGN_OR_RETURN(const size_t beside, BesideBytes());
  ASSIGN_OR_RETURN(communicators_.attention_tp,
                   communicator(static_cast<int>(position_.stage) * tp, 1, tp, beside));
  ASSIGN_OR_RETURN(world_, communicator(0, 1, world));
  ASSIGN_OR_RETURN(communicators_.pipeline,
                   communicator(static_cast<int>(position_.tp_rank), tp, stages));
  formed_.set_connect_seconds(SecondsSince(start));
  return absl::OkStatus();
}

// Of the largest sum that runs beside products, if any step is so large.
absl::StatusOr<size_t> ShardExecutor::BesideBytes() const {
  const auto tokens = static_cast<int>(request_.limits().max_num_tokens());
  if (tokens <= kWholeTokens || spec_.is_moe()) return 0;
  ASSIGN_OR_RETURN(const DType dtype,
                   ResolveDType(request_.model().dtype(), spec_, device_.kind()));
  const size_t row = spec_.hidden_size * SizeOf(dtype);
  return row % kSumAlignment == 0 ? HalfSumBytes(spec_, dtype, tokens) : 0;
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
  KvShape shape = {.num_layers = position_.end_layer - position_.first_layer,
                   .block_size = static_cast<int>(request_.block_size()),
                   .num_kv_heads = weights_.shape.num_kv_heads,
                   .head_dim = spec_.head_dim};
  ASSIGN_OR_RETURN(shape.dtype, ResolveKvDType(request_.model().kv_cache_dtype(), weights_.dtype,
                                               spec_.quantization.kv_cache));
  const uint64_t useful =
      uint64_t{request_.limits().max_batch_size()} * limits_.max_blocks_per_slot();
  // All have loaded when this is known: ranks may share the memory.
  RETURN_IF_ERROR(GatherFromAllRanks(0).status());
  kv_room_ = {.free_bytes = device_.FreeMemory(*ops_, world_->size()),
              .fraction = request_.kv_cache_fraction(),
              .reserved_bytes = HasGraphs() ? StepGraphs::ReservedBytes(ShapesOfGraphs()) : 0};
  const uint64_t mine = NumKvBlocks(shape, kv_room_, useful, request_.max_kv_blocks());
  ASSIGN_OR_RETURN(const std::vector<int64_t> all, GatherFromAllRanks(static_cast<int64_t>(mine)));
  const int64_t blocks = *std::min_element(all.begin(), all.end());
  if (blocks == 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for one KV block of ", shape.BlockBytes(), " bytes in ",
                     request_.kv_cache_fraction(), " of ", kv_room_.free_bytes, " bytes left",
                     kv_room_.reserved_bytes == 0
                         ? ""
                         : absl::StrCat(", ", kv_room_.reserved_bytes, " kept for graphs")));
  }
  ASSIGN_OR_RETURN(cache_, KvCache::Allocate(shape, blocks, *ops_));
  for (int layer = 0; shape.dtype == DType::kFloat8E4M3 && layer < shape.num_layers; ++layer) {
    cache_.SetScales(layer, weights_.layers[layer].k_scale, weights_.layers[layer].v_scale);
  }
  formed_.set_kv_blocks(static_cast<uint32_t>(blocks));
  formed_.set_kv_cache_dtype(DTypeName(shape.dtype));
  formed_.set_kv_bytes(shape.BlockBytes() * blocks);
  return absl::OkStatus();
}

// All activations and workspaces; the cache gets its layers afterwards, in what is left.
absl::Status ShardExecutor::BuildModel() {
  RETURN_IF_ERROR(Report("allocate", 0));
  limits_ = SlotLimitsOf(request_, spec_, 0);
  const StepLimits step = {
      .max_tokens = static_cast<int>(limits_.max_num_tokens),
      .max_rows = static_cast<int>(limits_.num_slots),
      .max_seq_len = static_cast<int>(limits_.max_seq_len),
      .whole_tokens = communicators_.attention_tp->BesideBytes() > 0 ? kWholeTokens : 0};
  ASSIGN_OR_RETURN(model_, Model::Create(spec_, position_, weights_, cache_.layers(), *ops_,
                                         communicators_, step));
  ASSIGN_OR_RETURN(inputs_, StepInputs::Create(limits_, *ops_));
  if (position_.last_stage) {
    sampler_ = std::make_unique<Sampler>(*ops_, step.max_rows);
    RETURN_IF_ERROR(sampler_->Allocate(limits_.sampling_rows, limits_.vocab_size));
  }
  return absl::OkStatus();
}

absl::Status ShardExecutor::BuildFlights() {
  limits_.num_blocks = formed_.kv_blocks();
  slots_ = std::make_unique<SlotTable>(limits_);
  if (communicators_.pipeline->size() > 1 && (position_.first_stage || position_.last_stage)) {
    ASSIGN_OR_RETURN(relay_, TokenRelay::Create(*communicators_.pipeline, *ops_, inputs_->drawn(),
                                                limits_.num_slots, request_.max_inflight()));
  }
  std::vector<StepFlight> flights(request_.max_inflight());
  for (StepFlight& flight : flights) {
    ASSIGN_OR_RETURN(flight.staging, inputs_->MakeStaging());
    if (draws()) {
      ASSIGN_OR_RETURN(flight.masks, sampler_->MakeMaskStaging());
    }
    flight.pending.draws = ops_->MakeDraws(static_cast<int>(limits_.num_slots));
    flight.marker = ops_->MakeMarker();
  }
  flights_ = std::make_unique<StepFlights>(std::move(flights));
  return Report("allocate", 1);
}

StepGraphs::Shapes ShardExecutor::ShapesOfGraphs() const {
  const auto most = static_cast<int>(std::min(limits_.num_slots, limits_.max_num_tokens));
  std::vector<int> sizes = GraphSizes(request_.graphs(), most);
  std::erase_if(sizes, [this](int size) { return model_->Halves(size); });
  return {.sizes = std::move(sizes),
          .contexts = GraphContexts(static_cast<int>(limits_.max_seq_len)),
          .padding = !request_.graphs().exact()};
}

absl::Status ShardExecutor::RecordGraphs() {
  const Steady::time_point start = Steady::now();
  const uint64_t free_before = ops_->FreeDeviceMemory();
  auto graphs = StepGraphs::Record(ShapesOfGraphs(), *model_, *inputs_, *ops_,
                                   [this](double done) { return Report("capture", done); });
  if (!graphs.ok()) return WithRoomForGraphs(graphs.status(), free_before);
  graphs_ = *std::move(graphs);
  const uint64_t free_now = ops_->FreeDeviceMemory();
  formed_.set_num_graphs(static_cast<uint32_t>(graphs_->count()));
  formed_.set_graph_bytes(free_before > free_now ? free_before - free_now : 0);
  formed_.set_capture_seconds(SecondsSince(start));
  return absl::OkStatus();
}

// What would help when the cache had left less than graphs may need.
absl::Status ShardExecutor::WithRoomForGraphs(const absl::Status& failed,
                                              uint64_t free_bytes) const {
  if (absl::IsCancelled(failed) || free_bytes >= kv_room_.reserved_bytes) return failed;
  const double fraction = FractionThatLeaves(
      formed_.kv_bytes(), kv_room_.reserved_bytes - free_bytes, kv_room_.free_bytes);
  return absl::ResourceExhaustedError(absl::StrCat(
      failed.message(), "; ", free_bytes >> 20, " MiB were left for graphs, which may take ",
      kv_room_.reserved_bytes >> 20, ": a kv_cache_fraction of ", fraction, " instead of ",
      kv_room_.fraction, " (kv_cache_config.free_gpu_memory_fraction) leaves them room"));
}

absl::StatusOr<std::vector<int64_t>> ShardExecutor::GatherFromAllRanks(int64_t mine) {
  if (group_ == nullptr) return std::vector<int64_t>{mine};
  const int64_t ranks = world_->size();
  const Buffer memory = ops_->Allocate((ranks + 1) * sizeof(int64_t));
  if (memory.data() == nullptr) return absl::ResourceExhaustedError("no memory left");
  auto* const all_here = static_cast<int64_t*>(memory.data());
  auto* const mine_here = all_here + ranks;
  ops_->CopyToDevice(mine_here, &mine, sizeof(mine));
  world_->AllGather(Tensor::Of(mine_here, DType::kInt64, 1),
                    Tensor::Of(all_here, DType::kInt64, ranks));
  RETURN_IF_ERROR(world_->status());
  std::vector<int64_t> all(ranks);
  ops_->CopyToHost(all.data(), all_here, ranks * sizeof(int64_t));
  RETURN_IF_ERROR(Health());
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
    const FormRequest& request, Device& device, const std::atomic<bool>& stop,
    const std::function<void(const FormProgress&)>& progress) {
  auto executor = std::make_unique<ShardExecutor>(request, device, stop, progress);
  if (absl::Status status = executor->Form(); !status.ok()) {
    executor->Abort(absl::StrCat("rank ", request.rank(), ": ", std::string(status.message())));
    const CleanupDeadline deadline("giving back a rank that did not form");
    executor.reset();
    return status;
  }
  return executor;
}

}  // namespace regatta
