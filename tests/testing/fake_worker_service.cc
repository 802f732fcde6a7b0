// A Worker service with the simulation's model inside; see fake_worker_service.h.
#include "tests/testing/fake_worker_service.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/grpc_status.h"
#include "common/layout.h"
#include "common/take_over.h"
#include "router/scheduler/scheduler.h"
#include "tests/sim/fake_model.h"
#include "tests/sim/fake_worker.h"

namespace regatta {
namespace {

constexpr auto kHeartbeat = std::chrono::milliseconds(100);

SchedulerOptions OptionsOf(const FormRequest& formed, uint32_t kv_blocks) {
  SchedulerOptions options;
  options.limits = formed.limits();
  options.block_size = formed.block_size();
  options.num_blocks = kv_blocks;
  options.sampling_rows = formed.sampling_rows();
  return options;
}

uint32_t Blocks(const FormRequest& formed, const FakeWorkerOptions& options) {
  const uint32_t available =
      options.kv_blocks * (options.kv_blocks_per_rank ? RanksPerCopy(formed.layout()) : 1);
  return formed.max_kv_blocks() > 0 ? std::min(formed.max_kv_blocks(), available) : available;
}

void DrawOnly(uint32_t token, const StepPlan& plan, StepResult& result) {
  result.set_step_id(plan.step_id());
  for (int i = 0; i < plan.slot_size(); ++i) {
    if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
    result.add_slot(plan.slot(i));
    result.add_token(token);
  }
}

// A Run stream's plans, each once the masks that it awaits have come.
class PlanReader {
 public:
  using Stream = grpc::ServerReaderWriter<RunResponse, RunRequest>;
  PlanReader(Stream& stream, bool samples) : stream_(stream), samples_(samples) {}

  // False at the end of the stream.
  bool Next() {
    if (!bytes_.empty()) bytes_.pop_front();
    masks_ = SampleInput();
    while (bytes_.empty() || !TakeMasks()) {
      RunRequest request;
      if (!stream_.Read(&request)) return false;
      if (request.has_sample_input()) {
        const uint64_t step_id = request.sample_input().step_id();
        came_[step_id] = std::move(*request.mutable_sample_input());
      } else {
        bytes_.push_back(std::move(*request.mutable_plan()));
      }
    }
    return true;
  }
  const std::string& bytes() const { return bytes_.front(); }
  const StepPlan& plan() const { return plan_; }
  const SampleInput& masks() const { return masks_; }

 private:
  // Of the oldest plan, if it awaits any; false when they have not come.
  bool TakeMasks() {
    CHECK(plan_.ParseFromString(bytes_.front()));
    const auto awaits = [](uint32_t flags) { return (flags & STEP_FLAG_AWAITS_MASK) != 0; };
    if (!samples_ || std::none_of(plan_.flags().begin(), plan_.flags().end(), awaits)) return true;
    auto masks = came_.extract(plan_.step_id());
    if (masks.empty()) return false;
    masks_ = std::move(masks.mapped());
    return true;
  }

  Stream& stream_;
  const bool samples_;
  std::deque<std::string> bytes_;  // of plans; the first is the one that Next gave
  std::map<uint64_t, SampleInput> came_;
  StepPlan plan_;
  SampleInput masks_;
};

}  // namespace

FakeWorkerService::FakeWorkerService(const FakeWorkerOptions& options) : options_(options) {
  Listen("127.0.0.1:0");
}

FakeWorkerService::~FakeWorkerService() { Kill(); }

void FakeWorkerService::Listen(const std::string& address) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr && port != 0) << address;
  address_ = absl::StrCat("127.0.0.1:", port);
}

void FakeWorkerService::SetFault(Fault fault, uint64_t step) {
  fault_step_ = step;
  fault_ = fault;
}

void FakeWorkerService::Kill() {
  if (killed_.exchange(true)) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeWorkerService::Restart() {
  Kill();
  {
    absl::MutexLock lock(&mutex_);
    epoch_ = 0;
    spent_epoch_ = 0;
    state_ = "idle";
  }
  fault_ = Fault::kNone;
  killed_ = false;
  Listen(address_);
}

std::string FakeWorkerService::state() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

FormRequest FakeWorkerService::resident() const {
  absl::MutexLock lock(&mutex_);
  return resident_;
}

void FakeWorkerService::Hang(grpc::ServerContext* context) {
  while (!context->IsCancelled() && !killed_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

grpc::Status FakeWorkerService::CheckEpoch(uint64_t epoch) {
  if (epoch < epoch_) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            absl::StrCat("epoch ", epoch, " is older than ", epoch_)};
  }
  epoch_ = epoch;
  return grpc::Status::OK;
}

grpc::Status FakeWorkerService::CheckOwner(const grpc::ServerContext& context) const {
  if ((state_ != "running" && !taken_over_) || owner_ == context.peer()) return grpc::Status::OK;
  return {grpc::StatusCode::ABORTED,
          absl::StrCat("serves another router (epoch ", epoch_, ", ", owner_, ")")};
}

grpc::Status FakeWorkerService::Describe(grpc::ServerContext* context,
                                         const DescribeRequest* request,
                                         WorkerDescription* response) {
  if (fault_ == Fault::kDescribeHangs) Hang(context);
  response->set_protocol_version(options_.protocol_version);
  response->set_device_kind(options_.device_kind);
  response->set_device_name("fake");
  response->set_memory_bytes(uint64_t{16} << 30);
  response->set_host(options_.host);
  if (options_.gpu.has_value()) {
    response->mutable_gpu()->set_power_limit_w(700);
    response->mutable_gpu_software()->set_driver("580.65.06");
  }
  absl::MutexLock lock(&mutex_);
  response->set_group_epoch(epoch_);
  response->set_state(state_);
  return grpc::Status::OK;
}

grpc::Status FakeWorkerService::Prepare(grpc::ServerContext* context, const PrepareRequest* request,
                                        PrepareResponse* response) {
  if (fault_ == Fault::kPrepareFails) return {grpc::StatusCode::INTERNAL, "no shared memory"};
  response->set_communicator_id("fake-group");
  absl::MutexLock lock(&mutex_);
  const grpc::Status status = CheckOwner(*context);
  return status.ok() ? CheckEpoch(request->group_epoch()) : status;
}

grpc::Status FakeWorkerService::Form(grpc::ServerContext* context, const FormRequest* request,
                                     grpc::ServerWriter<FormProgress>* writer) {
  if (fault_ == Fault::kFormFails) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "out of memory"};
  if (fault_ == Fault::kFormFailsOnce && fault_step_-- == 0) {
    fault_ = Fault::kNone;
    return {grpc::StatusCode::INTERNAL, "a passing fault"};
  }
  if (fault_ == Fault::kFormHangs) {
    Hang(context);
    return grpc::Status::CANCELLED;
  }
  if (request->communicator_id() != "fake-group") {
    return {grpc::StatusCode::INVALID_ARGUMENT, "communicator_id"};
  }
  FormProgress progress;
  progress.set_stage("load");
  progress.set_fraction(1);
  writer->Write(progress);
  progress.set_stage("formed");
  progress.mutable_formed()->set_kv_blocks(Blocks(*request, options_));
  progress.mutable_formed()->set_dtype("float32");
  progress.mutable_formed()->set_num_graphs(options_.num_graphs);
  {
    absl::MutexLock lock(&mutex_);
    grpc::Status status = CheckOwner(*context);
    if (status.ok()) status = CheckEpoch(request->group_epoch());
    if (!status.ok()) return status;
    if (state_ != "idle") {
      return {grpc::StatusCode::FAILED_PRECONDITION, absl::StrCat("the worker is ", state_)};
    }
    if (epoch_ == spent_epoch_) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              absl::StrCat("epoch ", epoch_, " has had its rank or was dissolved")};
    }
    spent_epoch_ = epoch_;
    state_ = "formed";
    owner_ = context->peer();
    taken_over_ = false;
    resident_ = *request;
  }
  writer->Write(progress);
  return grpc::Status::OK;
}

grpc::Status FakeWorkerService::Run(grpc::ServerContext* context,
                                    grpc::ServerReaderWriter<RunResponse, RunRequest>* stream) {
  if (fault_ == Fault::kRunRefused) return {grpc::StatusCode::INTERNAL, "refused"};
  RunRequest first;
  if (!stream->Read(&first)) return grpc::Status::CANCELLED;
  FormRequest formed;
  {
    absl::MutexLock lock(&mutex_);
    if (state_ != "formed" || first.start().group_epoch() != epoch_ ||
        first.start().rank() != resident_.rank()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, absl::StrCat("the worker is ", state_)};
    }
    state_ = "running";
    running_ = context;
    formed = resident_;
  }
  const grpc::Status status = RunPlans(context, stream, formed);
  absl::MutexLock lock(&mutex_);
  if (running_ == context) running_ = nullptr;
  // Losing the stream fences the rank.
  if (epoch_ == formed.group_epoch() && state_ == "running") state_ = "faulted";
  return status;
}

grpc::Status FakeWorkerService::RunPlans(grpc::ServerContext* context,
                                         grpc::ServerReaderWriter<RunResponse, RunRequest>* stream,
                                         const FormRequest& formed) {
  const uint32_t pp = std::max(1u, formed.layout().pp());
  const bool samples = formed.rank() == (pp - 1) * RanksPerCopy(formed.layout()) / pp;
  sim::FakeWorker model(OptionsOf(formed, Blocks(formed, options_)));
  absl::Mutex write_mutex;
  std::atomic<uint64_t> completed = 0;
  std::atomic<bool> done = false;
  const auto silent = [this, &completed] {
    return fault_ == Fault::kFallsSilent && completed + 1 >= fault_step_;
  };
  std::thread beats([&] {
    while (!done) {
      if (!silent()) {
        RunResponse response;
        response.mutable_heartbeat()->set_completed(completed);
        if (options_.gpu.has_value()) *response.mutable_heartbeat()->mutable_gpu() = *options_.gpu;
        absl::MutexLock lock(&write_mutex);
        stream->Write(response);
      }
      std::this_thread::sleep_for(kHeartbeat);
    }
  });
  grpc::Status status;
  PlanReader reader(*stream, samples);
  while (status.ok() && reader.Next()) {
    const StepPlan& plan = reader.plan();
    std::this_thread::sleep_for(options_.step_time);
    const bool faulty = plan.step_id() >= fault_step_;
    if (faulty && fault_ == Fault::kStepFails) {
      status = {grpc::StatusCode::INTERNAL, "device fault"};
      break;
    }
    if (faulty && (fault_ == Fault::kStepHangs || silent())) {
      Hang(context);
      break;
    }
    RunResponse response;
    const uint64_t hash = std::hash<std::string>()(reader.bytes());
    if (samples) {
      StepResult& result = *response.mutable_result();
      if (options_.only_token.has_value()) {
        DrawOnly(*options_.only_token, plan, result);
      } else {
        status = ToGrpc(model.Run(plan, reader.masks(), result));
      }
      result.set_plan_hash(hash);
      result.set_compute_ns(options_.compute_ns);
    } else {
      response.mutable_ack()->set_step_id(plan.step_id());
      response.mutable_ack()->set_plan_hash(hash);
      response.mutable_ack()->set_compute_ns(options_.compute_ns);
    }
    completed = plan.step_id();
    ++plans_run_;
    if (!status.ok()) break;
    absl::MutexLock lock(&write_mutex);
    stream->Write(response);
  }
  done = true;
  beats.join();
  return status;
}

grpc::Status FakeWorkerService::Dissolve(grpc::ServerContext* context,
                                         const DissolveRequest* request,
                                         DissolveResponse* response) {
  absl::MutexLock lock(&mutex_);
  const bool take_over = context->client_metadata().count(kTakeOverMetadata) > 0;
  grpc::Status status = take_over ? grpc::Status::OK : CheckOwner(*context);
  if (status.ok()) status = CheckEpoch(request->group_epoch());
  if (!status.ok()) return status;
  state_ = "idle";
  taken_over_ = take_over;
  if (!take_over) spent_epoch_ = epoch_;
  if (take_over) owner_ = context->peer();
  if (take_over && running_ != nullptr) running_->TryCancel();
  return grpc::Status::OK;
}

std::vector<uint32_t> FakeContinuation(const std::vector<uint32_t>& prompt, uint32_t count,
                                       std::optional<uint64_t> constraint_seed) {
  std::vector<uint32_t> tokens;
  uint64_t entry = 0, attention = 0;
  for (const uint32_t token : prompt) {
    entry = sim::KvEntry(entry, token);
    attention = sim::Attend(attention, entry);
  }
  sim::FakeConstraint constraint(constraint_seed.value_or(0));
  std::vector<uint32_t> mask(constraint_seed ? sim::kMaskWords : 0);
  while (tokens.size() < count) {
    if (constraint_seed) constraint.FillMask(absl::MakeSpan(mask), kAnyMaskWork);
    tokens.push_back(sim::SampleToken(attention, SamplingParams(), tokens.size(), 0, mask));
    if (constraint_seed) CHECK(constraint.Accept(tokens.back()));
    entry = sim::KvEntry(entry, tokens.back());
    attention = sim::Attend(attention, entry);
  }
  return tokens;
}

}  // namespace regatta
