// The Worker service over gRPC: order of calls, epochs, failures, and forming again and again.
#include "worker/service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/layout.h"
#include "common/take_over.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/threaded_group.h"
#include "tests/worker/tiny_models.h"
#include "worker/cpu_device.h"

namespace regatta {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

// One worker process's service on a port of its own, and a client of it.
class TestWorker {
 public:
  explicit TestWorker(const GpuIdentity& gpu = {})
      : device_(MakeCpuDevice(1)), gpu_(FAKE_NVML, gpu), service_(*device_, &gpu_) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
    stub_ = NewRouter();
  }
  ~TestWorker() {
    service_.Fence("test over", absl::Seconds(5));
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  }

  WorkerDescription Describe() {
    grpc::ClientContext context;
    WorkerDescription description;
    EXPECT_TRUE(stub_->Describe(&context, DescribeRequest(), &description).ok());
    return description;
  }
  grpc::Status Prepare(uint64_t epoch, uint32_t world_size, std::string* id = nullptr) {
    grpc::ClientContext context;
    PrepareRequest request;
    request.set_group_epoch(epoch);
    request.set_world_size(world_size);
    PrepareResponse response;
    const grpc::Status status = stub_->Prepare(&context, request, &response);
    if (id != nullptr) *id = response.communicator_id();
    return status;
  }
  grpc::Status Form(const FormRequest& request, std::vector<FormProgress>* progress = nullptr) {
    grpc::ClientContext context;
    const auto reader = stub_->Form(&context, request);
    FormProgress one;
    while (reader->Read(&one)) {
      if (progress != nullptr) progress->push_back(one);
    }
    return reader->Finish();
  }
  grpc::Status Dissolve(uint64_t epoch) {
    grpc::ClientContext context;
    DissolveRequest request;
    request.set_group_epoch(epoch);
    DissolveResponse response;
    return stub_->Dissolve(&context, request, &response);
  }
  Worker::Stub& stub() { return *stub_; }
  // With a connection of its own.
  std::unique_ptr<Worker::Stub> NewRouter() const {
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return Worker::NewStub(
        grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), own));
  }

 private:
  std::unique_ptr<Device> device_;
  const GpuWatch gpu_;
  WorkerService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::unique_ptr<Worker::Stub> stub_;
};

// A Run stream as a router holds it.
class RunStream {
 public:
  RunStream(TestWorker& worker, uint64_t epoch, uint32_t rank)
      : stream_(worker.stub().Run(&context_)) {
    RunRequest request;
    request.mutable_start()->set_group_epoch(epoch);
    request.mutable_start()->set_rank(rank);
    stream_->Write(request);
  }
  void Send(const StepPlan& plan) {
    RunRequest request;
    request.set_plan(plan.SerializeAsString());
    stream_->Write(request);
  }
  void SendMasks(uint64_t step, const std::string& masks) {
    RunRequest request;
    request.mutable_sample_input()->set_step_id(step);
    request.mutable_sample_input()->set_masks(masks);
    stream_->Write(request);
  }
  // The next message that is no heartbeat; false at the end of the stream.
  bool Next(RunResponse& response) {
    while (stream_->Read(&response)) {
      if (!response.has_heartbeat()) return true;
      heartbeat_ = response.heartbeat();
    }
    return false;
  }
  bool NextHeartbeat() {
    RunResponse response;
    while (stream_->Read(&response)) {
      if (!response.has_heartbeat()) continue;
      heartbeat_ = response.heartbeat();
      return true;
    }
    return false;
  }
  const Heartbeat& heartbeat() const { return heartbeat_; }
  void CloseWrites() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }
  // Reads to the end.
  grpc::Status Finish() {
    RunResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<RunRequest, RunResponse>> stream_;
  Heartbeat heartbeat_;
};

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    dir_.Write("config.json", TinyLlama());
    options_.model.set_path(dir_.path());
    options_.model.set_dummy_weights(true);
    options_.layout = *MakeLayout(1, 1, 1, 1);
  }

  FormRequest Request(uint64_t epoch, uint32_t rank, const std::string& id) {
    FormRequest request = ToFormRequest(options_, rank, id);
    request.set_group_epoch(epoch);
    return request;
  }
  // Prepares and forms ranks 0 .. workers - 1 at once.
  std::vector<grpc::Status> FormAll(std::vector<TestWorker*> workers, uint64_t epoch) {
    std::string id;
    const auto world = static_cast<uint32_t>(workers.size());
    EXPECT_TRUE(workers[0]->Prepare(epoch, world, &id).ok());
    EXPECT_EQ(id.empty(), world == 1) << "nobody meets a rank that is alone";
    std::vector<grpc::Status> statuses(workers.size());
    std::vector<std::thread> threads;
    for (uint32_t rank = 0; rank < world; ++rank) {
      threads.emplace_back(
          [&, rank] { statuses[rank] = workers[rank]->Form(Request(epoch, rank, id)); });
    }
    for (std::thread& thread : threads) thread.join();
    return statuses;
  }

  TempDir dir_;
  GroupOptions options_;
};

StepPlan PlanOf(uint64_t step) {
  StepPlan plan;
  plan.set_step_id(step);
  if (step == 1) {
    plan.add_admissions()->set_prompt_length(4);
    for (uint32_t token : {5, 6, 7, 8}) plan.add_tokens(token);
    plan.add_new_blocks(0);
  }
  plan.add_slot(0);
  plan.add_start(step == 1 ? 0 : static_cast<uint32_t>(step) + 2);
  plan.add_count(step == 1 ? 4 : 1);
  plan.add_flags(STEP_FLAG_SAMPLE | (step == 1 ? STEP_FLAG_INLINE_TOKENS : 0));
  plan.add_new_block_count(step == 1 ? 1 : 0);
  return plan;
}

TEST_F(ServiceTest, AWorkerDescribesItself) {
  TestWorker worker;
  const WorkerDescription idle = worker.Describe();
  EXPECT_EQ(idle.device_kind(), "cpu");
  EXPECT_GT(idle.memory_bytes(), 1u << 20);
  EXPECT_EQ(idle.state(), "idle");
  EXPECT_EQ(idle.protocol_version(), 2u);
  EXPECT_EQ(idle.group_epoch(), 0u);
  EXPECT_FALSE(idle.has_resident());
  ASSERT_TRUE(FormAll({&worker}, 4)[0].ok());
  const WorkerDescription formed = worker.Describe();
  EXPECT_EQ(formed.state(), "formed");
  EXPECT_EQ(formed.group_epoch(), 4u);
  EXPECT_EQ(formed.resident().limits().max_batch_size(), options_.max_batch_size);
}

TEST_F(ServiceTest, FormingReportsItsProgress) {
  TestWorker worker;
  std::vector<FormProgress> progress;
  ASSERT_TRUE(worker.Form(Request(1, 0, ""), &progress).ok());
  std::vector<std::string> stages;
  for (const FormProgress& one : progress) {
    if (stages.empty() || stages.back() != one.stage()) stages.push_back(one.stage());
  }
  EXPECT_THAT(stages, ::testing::ElementsAre("connect", "load", "allocate", "formed"));
  const Formed& formed = progress.back().formed();
  EXPECT_EQ(formed.kv_blocks(), 8u * 16u);  // 8 slots of 256 tokens in blocks of 16
  EXPECT_EQ(formed.vocab_size(), 256u);
  EXPECT_GT(formed.weight_bytes(), 100000u);
}

TEST_F(ServiceTest, CallsOutOfOrderAreRefused) {
  TestWorker worker;
  const auto precondition = StatusCode::FAILED_PRECONDITION;
  EXPECT_EQ(worker.Prepare(0, 1).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(worker.Prepare(1, 1000).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(worker.Prepare(1, 4'000'000'000).error_message(),
              HasSubstr("world_size: 4000000000 ranks; expected 1 to 65536"));
  EXPECT_EQ(RunStream(worker, 1, 0).Finish().error_code(), precondition);
  EXPECT_TRUE(worker.Dissolve(1).ok());  // nothing is held
  EXPECT_TRUE(worker.Dissolve(1).ok());
  ASSERT_TRUE(worker.Form(Request(2, 0, "")).ok());
  EXPECT_EQ(worker.Prepare(1, 1).error_code(), precondition);
  const grpc::Status again = worker.Form(Request(3, 0, ""));
  EXPECT_EQ(again.error_code(), precondition);
  EXPECT_THAT(again.error_message(), HasSubstr("rank 0 of epoch 2 is formed; Dissolve it first"));
  EXPECT_EQ(worker.Dissolve(2).error_code(), precondition);  // 3 has been seen
  EXPECT_TRUE(worker.Dissolve(3).ok());
  EXPECT_EQ(worker.Describe().state(), "idle");
  EXPECT_EQ(RunStream(worker, 3, 0).Finish().error_code(), precondition);
  const grpc::Status late = worker.Form(Request(3, 0, ""));  // overtaken by its own Dissolve
  EXPECT_EQ(late.error_code(), precondition);
  EXPECT_THAT(late.error_message(), HasSubstr("epoch 3 has had its rank or was dissolved"));
  ASSERT_TRUE(worker.Form(Request(4, 0, "")).ok());
  EXPECT_EQ(RunStream(worker, 4, 1).Finish().error_code(), precondition);  // another rank
  EXPECT_TRUE(worker.Dissolve(4).ok());
  EXPECT_EQ(worker.Form(Request(4, 0, "")).error_code(), precondition);  // its epoch is over
  EXPECT_TRUE(worker.Form(Request(5, 0, "")).ok());
}

TEST_F(ServiceTest, AFailedFormHoldsNothing) {
  TestWorker worker;
  FormRequest request = Request(1, 0, "");
  request.mutable_model()->set_path("/nowhere");
  EXPECT_EQ(worker.Form(request).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(worker.Describe().state(), "idle");
  request = Request(2, 0, "shm:1:2:3");
  *request.mutable_layout() = *MakeLayout(2, 1, 1, 1);
  EXPECT_EQ(worker.Form(request).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(worker.Form(Request(3, 0, "")).ok());
}

TEST_F(ServiceTest, PlansAreAnsweredInOrderWithHeartbeats) {
  TestWorker worker;
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  ASSERT_TRUE(stream.NextHeartbeat());
  EXPECT_EQ(stream.heartbeat().received(), 0u);
  for (uint64_t step = 1; step <= 5; ++step) stream.Send(PlanOf(step));
  for (uint64_t step = 1; step <= 5; ++step) {
    RunResponse response;
    ASSERT_TRUE(stream.Next(response));
    EXPECT_EQ(response.result().step_id(), step);
    EXPECT_EQ(response.result().token_size(), 1);
  }
  ASSERT_TRUE(stream.NextHeartbeat());
  EXPECT_EQ(stream.heartbeat().received(), 5u);
  EXPECT_EQ(stream.heartbeat().launched(), 5u);
  EXPECT_EQ(stream.heartbeat().completed(), 5u);
  EXPECT_EQ(worker.Describe().state(), "running");
  stream.CloseWrites();
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(worker.Describe().state(), "idle");
}

TEST_F(ServiceTest, HeartbeatsBringWhatTheGpuSays) {
  TestWorker worker({.pci_id = "0000:ab:00.0"}), cpu;
  EXPECT_EQ(worker.Describe().gpu().power_limit_w(), 500);
  EXPECT_FALSE(cpu.Describe().has_gpu() || cpu.Describe().has_gpu_software());
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok() && FormAll({&cpu}, 1)[0].ok());
  RunStream stream(worker, 1, 0), bare(cpu, 1, 0);
  ASSERT_TRUE(stream.NextHeartbeat() && bare.NextHeartbeat());
  EXPECT_FALSE(bare.heartbeat().has_gpu());
  const GpuReading first = stream.heartbeat().gpu();
  EXPECT_EQ(first.power_mw(), 300'000u);
  while (stream.heartbeat().gpu().time_ns() == first.time_ns()) {
    ASSERT_TRUE(stream.NextHeartbeat());
  }
  EXPECT_GE(stream.heartbeat().gpu().time_ns() - first.time_ns(), 450'000'000) << "twice a second";
  EXPECT_GE(stream.heartbeat().gpu().energy_mj(), first.energy_mj() + 2000);
}

TEST_F(ServiceTest, RanksThatDoNotSampleAcknowledge) {
  options_.layout = *MakeLayout(2, 1, 1, 1);
  TestWorker first, second;
  for (const grpc::Status& status : FormAll({&first, &second}, 1)) ASSERT_TRUE(status.ok());
  RunStream a(first, 1, 0), b(second, 1, 1);
  a.Send(PlanOf(1));
  b.Send(PlanOf(1));
  RunResponse result, ack;
  ASSERT_TRUE(a.Next(result) && b.Next(ack));
  EXPECT_EQ(result.result().token_size(), 1);
  EXPECT_EQ(ack.ack().step_id(), 1u);
  EXPECT_EQ(ack.ack().plan_hash(), result.result().plan_hash());
}

StepPlan AwaitingPlan() {
  StepPlan plan = PlanOf(1);
  plan.set_flags(0, plan.flags(0) | STEP_FLAG_AWAITS_MASK);
  return plan;
}

TEST_F(ServiceTest, MasksReachTheirStepPastThePlans) {
  TestWorker worker;
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  stream.Send(AwaitingPlan());
  stream.Send(PlanOf(2));
  stream.SendMasks(1, std::string(5, '\0') + '\4' + std::string(26, '\0'));  // bit 42
  RunResponse response;
  ASSERT_TRUE(stream.Next(response));
  EXPECT_EQ(response.result().token(0), 42u);
  ASSERT_TRUE(stream.Next(response));
  EXPECT_EQ(response.result().step_id(), 2u);
}

// However it ends, at once; the rank can be given back.
TEST_F(ServiceTest, AWaitForMasksEndsWithItsStreamOrItsGroup) {
  uint64_t epoch = 0;
  for (const std::string how : {"writes done", "cancelled", "dissolved", "peer lost"}) {
    SCOPED_TRACE(how);
    options_.layout = *MakeLayout(2, 1, 1, 1);
    TestWorker first, second;
    for (const grpc::Status& status : FormAll({&first, &second}, ++epoch)) ASSERT_TRUE(status.ok());
    RunStream a(first, epoch, 0), b(second, epoch, 1);
    for (RunStream* stream : {&a, &b}) stream->Send(AwaitingPlan());
    absl::SleepFor(absl::Milliseconds(50));
    const absl::Time start = absl::Now();
    if (how == "writes done") a.CloseWrites();
    if (how == "cancelled") a.Cancel();
    if (how == "dissolved") {
      EXPECT_TRUE(first.Dissolve(epoch).ok());
    }
    if (how == "peer lost") b.Cancel();
    const grpc::Status status = a.Finish();
    EXPECT_LT(absl::Now() - start, absl::Milliseconds(500));
    EXPECT_FALSE(status.ok());
    if (how == "writes done" || how == "peer lost") {
      EXPECT_THAT(status.error_message(), HasSubstr("step 1, slots 0: "));
    }
    b.Cancel();
    b.Finish();
    EXPECT_TRUE(first.Dissolve(epoch).ok());
    EXPECT_TRUE(second.Dissolve(epoch).ok());
  }
}

TEST_F(ServiceTest, ABadPlanEndsTheStreamWithItsReason) {
  TestWorker worker;
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  stream.Send(PlanOf(2));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("step 2 follows step 0"));
  EXPECT_EQ(worker.Describe().state(), "faulted");
  EXPECT_TRUE(worker.Form(Request(2, 0, "")).ok());
}

TEST_F(ServiceTest, AStreamMustNameItsRankFirst) {
  TestWorker worker;
  grpc::ClientContext context;
  const auto stream = worker.stub().Run(&context);
  stream->Write(RunRequest());
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, LosingOneStreamFencesTheGroupWithinHalfASecond) {
  options_.layout = *MakeLayout(2, 1, 1, 1);
  TestWorker first, second;
  for (const grpc::Status& status : FormAll({&first, &second}, 1)) ASSERT_TRUE(status.ok());
  RunStream a(first, 1, 0), b(second, 1, 1);
  a.Send(PlanOf(1));  // waits for rank 1, which never gets its plan
  absl::SleepFor(absl::Milliseconds(50));
  const absl::Time start = absl::Now();
  b.Cancel();
  const grpc::Status status = a.Finish();
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(500));
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  b.Finish();
  EXPECT_TRUE(first.Dissolve(1).ok());
  EXPECT_TRUE(second.Dissolve(1).ok());
  EXPECT_EQ(second.Describe().state(), "idle");
}

TEST_F(ServiceTest, DissolveEndsARunningRankAndTellsItsStream) {
  TestWorker worker;
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  ASSERT_TRUE(stream.NextHeartbeat());
  ASSERT_TRUE(worker.Dissolve(2).ok());
  EXPECT_EQ(worker.Describe().state(), "idle");
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("dissolved by epoch 2"));
}

grpc::Status DissolveBy(Worker::Stub& router, uint64_t epoch, bool take_over = false) {
  grpc::ClientContext context;
  if (take_over) context.AddMetadata(kTakeOverMetadata, "1");
  DissolveRequest request;
  request.set_group_epoch(epoch);
  DissolveResponse response;
  return router.Dissolve(&context, request, &response);
}

TEST_F(ServiceTest, ARankThatRunsIsKeptFromOtherConnectionsUntilItsStreamIsLost) {
  TestWorker worker;
  const auto other = worker.NewRouter();
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  ASSERT_TRUE(stream.NextHeartbeat());
  const grpc::Status refused = DissolveBy(*other, 1);
  EXPECT_EQ(refused.error_code(), StatusCode::ABORTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("serves another router (epoch 1, 127.0.0.1:"));
  EXPECT_EQ(DissolveBy(*other, 7).error_code(), StatusCode::ABORTED);
  stream.Send(PlanOf(1));
  RunResponse response;
  ASSERT_TRUE(stream.Next(response)) << "it must not have been disturbed";
  const absl::Time start = absl::Now();
  stream.Cancel();
  stream.Finish();
  while (!DissolveBy(*other, 1).ok()) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
}

TEST_F(ServiceTest, TakingOverEndsTheStreamOfTheOther) {
  TestWorker worker;
  const auto other = worker.NewRouter();
  ASSERT_TRUE(FormAll({&worker}, 1)[0].ok());
  RunStream stream(worker, 1, 0);
  ASSERT_TRUE(stream.NextHeartbeat());
  EXPECT_TRUE(DissolveBy(*other, 2, true).ok());
  EXPECT_THAT(stream.Finish().error_message(), HasSubstr("dissolved by epoch 2"));
  EXPECT_EQ(worker.Form(Request(3, 0, "")).error_code(), StatusCode::ABORTED);
}

TEST_F(ServiceTest, AFormThatHangsIsKeptAsLongAsItsCallerWaits) {
  options_.layout = *MakeLayout(2, 1, 1, 1);
  TestWorker worker;
  const auto other = worker.NewRouter();
  std::string id;
  ASSERT_TRUE(worker.Prepare(1, 2, &id).ok());
  grpc::ClientContext context;
  const auto forming = worker.stub().Form(&context, Request(1, 0, id));  // Its peer never comes.
  while (worker.Describe().state() != "forming") absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(DissolveBy(*other, 1).error_code(), StatusCode::ABORTED);
  context.TryCancel();
  const absl::Time start = absl::Now();
  while (!DissolveBy(*other, 1).ok()) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  FormProgress progress;
  while (forming->Read(&progress)) {
  }
  EXPECT_FALSE(forming->Finish().ok());
}

TEST_F(ServiceTest, DissolveEndsAFormThatWaitsForItsPeers) {
  options_.layout = *MakeLayout(2, 1, 1, 1);
  TestWorker worker;
  std::string id;
  ASSERT_TRUE(worker.Prepare(1, 2, &id).ok());
  std::thread forming(
      [&] { EXPECT_EQ(worker.Form(Request(1, 0, id)).error_code(), StatusCode::CANCELLED); });
  while (worker.Describe().state() != "forming") absl::SleepFor(absl::Milliseconds(5));
  absl::SleepFor(absl::Milliseconds(50));
  const absl::Time start = absl::Now();
  EXPECT_TRUE(worker.Dissolve(1).ok());
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  forming.join();
}

// Fourteen rounds that leaked a model would take 20 MB; threads' free lists take some. Sanitizers
// hold freed memory back.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int64_t kAllowedGrowth = 64 << 20;
#else
constexpr int64_t kAllowedGrowth = 10 << 20;
#endif

int64_t ResidentBytes() {
  malloc_trim(0);  // What is freed does not count.
  int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * 4096;
}

int EntriesOf(const char* directory) {
  const auto entries = std::filesystem::directory_iterator(directory);
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

TEST_F(ServiceTest, FormingTwentyTimesLeaksNothing) {
  TestWorker first, second;
  int64_t settled_bytes = 0;
  int files = 0;
  const int segments = EntriesOf("/dev/shm");
  for (uint64_t epoch = 1; epoch <= 20; ++epoch) {
    options_.layout = epoch % 2 == 0 ? *MakeLayout(2, 1, 1, 1) : *MakeLayout(1, 2, 1, 1);
    for (const grpc::Status& status : FormAll({&first, &second}, epoch)) {
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
    {
      RunStream a(first, epoch, 0), b(second, epoch, 1);
      for (uint64_t step = 1; step <= 3; ++step) {
        a.Send(PlanOf(step));
        b.Send(PlanOf(step));
      }
      RunStream& sampler = epoch % 2 == 0 ? a : b;
      RunResponse response;
      for (int step = 0; step < 3; ++step) ASSERT_TRUE(sampler.Next(response));
      a.CloseWrites();
      b.CloseWrites();
      EXPECT_TRUE(a.Finish().ok());
      EXPECT_TRUE(b.Finish().ok());
    }
    ASSERT_TRUE(first.Dissolve(epoch).ok());
    ASSERT_TRUE(second.Dissolve(epoch).ok());
    if (epoch == 6) {
      settled_bytes = ResidentBytes();
      files = EntriesOf("/proc/self/fd");
    }
  }
  EXPECT_LT(ResidentBytes() - settled_bytes, kAllowedGrowth);
  EXPECT_LE(EntriesOf("/proc/self/fd"), files + 2);  // gRPC's own
  EXPECT_EQ(EntriesOf("/dev/shm"), segments);
}

}  // namespace
}  // namespace regatta
