// A client against services that misbehave.
#include "orchestrator/service/orchestrator_client.h"

#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

// Ends its first streams without a message, as one whose messages cannot be read seems to.
class SilentService final : public Orchestrator::Service {
 public:
  explicit SilentService(int silent) : silent_(silent) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string url() const { return absl::StrCat("grpc://127.0.0.1:", port_); }

  grpc::Status Watch(grpc::ServerContext*, const WatchRunRequest* request,
                     grpc::ServerWriter<RunProgress>* writer) override {
    if (--silent_ >= 0) return grpc::Status::OK;
    RunProgress progress;
    progress.mutable_run()->set_id(request->id());
    progress.mutable_run()->set_state(RUN_DONE);
    writer->Write(progress);
    return grpc::Status::OK;
  }

 private:
  std::atomic<int> silent_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

absl::StatusOr<RunSummary> WatchAt(const SilentService& service, absl::Duration patience) {
  auto client = OrchestratorClient::Dial({service.url(), {}});
  if (!client.ok()) return client.status();
  return client->Watch(
      "7", [](const RunProgress&) {}, patience);
}

TEST(OrchestratorClientTest, AServiceThatSaysNothingIsNotWatchedForEver) {
  const SilentService service(50);
  const auto run = WatchAt(service, absl::Seconds(1));
  EXPECT_EQ(run.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(run.status().message()), HasSubstr("nothing readable of run 7 for 1s"));
}

TEST(OrchestratorClientTest, AMomentOfSilenceIsBorne) {
  const SilentService service(2);
  const auto run = WatchAt(service, absl::Seconds(30));
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE);
}

}  // namespace
}  // namespace regatta
