// What a connection may ask of the gRPC port, at each limit and beyond it.
#include "router/grpc_limits.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "proto/inference.grpc.pb.h"

namespace regatta {
namespace {

// Answers every call with nothing, at once or when it is let go.
class EmptyAnswers final : public Inference::Service {
 public:
  grpc::Status Generate(grpc::ServerContext*, const GenerateRequest*,
                        grpc::ServerWriter<TokenDelta>* writer) override {
    if (held_ != nullptr) {
      writer->Write(TokenDelta());
      held_->WaitForNotification();
    }
    return grpc::Status::OK;
  }
  void Hold(absl::Notification& until) { held_ = &until; }

 private:
  absl::Notification* held_ = nullptr;
};

class GrpcLimitsTest : public testing::Test {
 protected:
  ~GrpcLimitsTest() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(const GrpcLimits& limits) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    SetLimits(limits, builder);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    client_ = Inference::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }
  grpc::StatusCode Call(const GenerateRequest& request, size_t metadata_value_bytes = 0) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (metadata_value_bytes > 0) context.AddMetadata("x", std::string(metadata_value_bytes, 'v'));
    const auto reader = client_->Generate(&context, request);
    for (TokenDelta delta; reader->Read(&delta);) {
    }
    return reader->Finish().error_code();
  }

  // Whether calls are answered again; the connection may have ended with the one before.
  bool Serves() {
    for (int tries = 0; tries < 100; ++tries) {
      if (Call(GenerateRequest()) == grpc::StatusCode::OK) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }

  EmptyAnswers service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Inference::Stub> client_;
};

GenerateRequest RequestOfBytes(size_t bytes) {
  GenerateRequest request;
  request.set_text(std::string(bytes, 'a'));
  request.mutable_text()->resize(bytes - (request.ByteSizeLong() - bytes));
  EXPECT_EQ(request.ByteSizeLong(), bytes);
  return request;
}

TEST_F(GrpcLimitsTest, Messages) {
  const GrpcLimits limits;
  Serve(limits);
  const size_t limit = limits.max_message_bytes;
  EXPECT_EQ(Call(RequestOfBytes(limit - 1)), grpc::StatusCode::OK);
  EXPECT_EQ(Call(RequestOfBytes(limit)), grpc::StatusCode::OK);
  EXPECT_EQ(Call(RequestOfBytes(limit + 1)), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Call(GenerateRequest()), grpc::StatusCode::OK);  // The connection lives.
}

// gRPC's own headers take a part that its versions differ in: the limit lies within 1 KiB of them.
TEST_F(GrpcLimitsTest, Metadata) {
  const GrpcLimits limits;
  Serve(limits);
  EXPECT_EQ(Call(GenerateRequest(), limits.max_metadata_bytes - 1024), grpc::StatusCode::OK);
  EXPECT_EQ(Call(GenerateRequest(), 3 * limits.max_metadata_bytes),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Serves());
}

TEST_F(GrpcLimitsTest, CallsAtOnce) {
  absl::Notification let_go;
  service_.Hold(let_go);
  GrpcLimits limits;
  limits.max_concurrent_streams = 3;
  Serve(limits);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<TokenDelta>>> calls;
  TokenDelta delta;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    calls.push_back(client_->Generate(contexts.back().get(), GenerateRequest()));
    EXPECT_TRUE(calls.back()->Read(&delta));  // It runs.
  }
  grpc::ClientContext waits;
  waits.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  const auto fourth = client_->Generate(&waits, GenerateRequest());
  EXPECT_FALSE(fourth->Read(&delta));
  EXPECT_EQ(fourth->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  let_go.Notify();
  for (const auto& call : calls) {
    EXPECT_FALSE(call->Read(&delta));
    EXPECT_TRUE(call->Finish().ok());
  }
  EXPECT_EQ(Call(GenerateRequest()), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace regatta
