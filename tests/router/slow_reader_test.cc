// Clients that do not read: their calls end, the router's memory does not grow with them.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "proto/inference.grpc.pb.h"
#include "router/inference_service.h"

namespace regatta {
namespace {

using testing::HasSubstr;

// Streams large deltas to whoever submits, until it is cancelled.
class Flood final : public RequestSink {
 public:
  ~Flood() override {
    if (thread_.joinable()) thread_.join();
  }
  absl::StatusOr<uint64_t> Submit(const GenerateRequest& request, uint64_t tag,
                                  std::shared_ptr<DeltaStream> stream) override {
    thread_ = std::thread([this, tag, stream = std::move(stream)] {
      for (int i = 0; i < kMaxDeltas && !cancelled.HasBeenNotified(); ++i) {
        TokenDelta delta;
        delta.set_count(1);
        delta.set_text(std::string(64 << 10, 'x'));
        stream->Push(tag, std::move(delta));
        stream->Flush();
        ++pushed;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      TokenDelta last;
      last.set_finish_reason(FINISH_REASON_LENGTH);
      stream->Push(tag, std::move(last));
      stream->Flush();
    });
    return 5;
  }
  void Cancel(uint64_t id) override {
    EXPECT_EQ(id, 5);
    if (!cancelled.HasBeenNotified()) cancelled.Notify();
  }

  static constexpr int kMaxDeltas = 2000;
  std::atomic<int> pushed = 0;
  absl::Notification cancelled;

 private:
  std::thread thread_;
};

// By their number, and by their bytes.
class SlowReaderTest : public testing::TestWithParam<BacklogLimits> {
 protected:
  SlowReaderTest() : service_(flood_, {.generate = GetParam(), .generate_many = GetParam()}) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    client_ = Inference::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  Flood flood_;
  InferenceService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Inference::Stub> client_;
};

TEST_P(SlowReaderTest, GenerateIsCutOff) {
  grpc::ClientContext context;
  const auto reader = client_->Generate(&context, GenerateRequest());
  ASSERT_TRUE(flood_.cancelled.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_LT(flood_.pushed, Flood::kMaxDeltas / 2);
  TokenDelta delta;
  while (reader->Read(&delta)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("reads too slowly"));
}

TEST_P(SlowReaderTest, GenerateManyIsCutOff) {
  grpc::ClientContext context;
  const auto stream = client_->GenerateMany(&context);
  GenerateManyRequest request;
  request.set_tag(1);
  request.mutable_start();
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(flood_.cancelled.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_LT(flood_.pushed, Flood::kMaxDeltas / 2);
  GenerateManyResponse response;
  while (stream->Read(&response)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("reads too slowly"));
}

INSTANTIATE_TEST_SUITE_P(Limits, SlowReaderTest,
                         testing::Values(BacklogLimits{16, 1 << 30},
                                         BacklogLimits{1 << 20, 1 << 20}));

}  // namespace
}  // namespace regatta
