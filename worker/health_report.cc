// See health_report.h.
#include "worker/health_report.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <cstdio>

#include "absl/time/time.h"

namespace regatta {
namespace {

constexpr absl::Duration kEvery = absl::Milliseconds(500);
constexpr auto kAnswerTimeout = std::chrono::seconds(1);

}  // namespace

HealthReport::HealthReport(grpc::Server& server)
    : health_(grpc::health::v1::Health::NewStub(server.InProcessChannel(grpc::ChannelArguments()))),
      thread_([this] { Report(); }) {}

HealthReport::~HealthReport() {
  stopping_.Notify();
  thread_.join();
}

bool HealthReport::Answers() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAnswerTimeout);
  grpc::health::v1::HealthCheckResponse response;
  return health_->Check(&context, {}, &response).ok();
}

void HealthReport::Report() {
  do {
    if (!Answers()) continue;
    std::printf("%s\n", kAnswersLine);
    std::fflush(stdout);
  } while (!stopping_.WaitForNotificationWithTimeout(kEvery));
}

}  // namespace regatta
