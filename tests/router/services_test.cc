// The router's gRPC services as a client sees them, over fake workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "proto/cluster.grpc.pb.h"
#include "proto/inference.grpc.pb.h"
#include "router/cluster/cluster_service.h"
#include "router/inference_service.h"
#include "tests/router/cluster/coordinator_fixture.h"
#include "tests/sim/fake_model.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class ServicesTest : public CoordinatorFixture {
 protected:
  ~ServicesTest() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(std::chrono::microseconds step_time) {
    AddWorkers(2, step_time);
    ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
    inference_ = std::make_unique<InferenceService>(*coordinator_);
    cluster_ = std::make_unique<ClusterService>(*coordinator_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(inference_.get());
    builder.RegisterService(cluster_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    const auto channel =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
    client_ = Inference::NewStub(channel);
    operator_ = Cluster::NewStub(channel);
  }

  std::unique_ptr<InferenceService> inference_;
  std::unique_ptr<ClusterService> cluster_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Inference::Stub> client_;
  std::unique_ptr<Cluster::Stub> operator_;
};

TEST_F(ServicesTest, GenerateStreamsExactTokens) {
  Serve(milliseconds(0));
  for (uint64_t tag = 1; tag <= 5; ++tag) {
    grpc::ClientContext context;
    const auto reader = client_->Generate(&context, RequestOf(tag, LengthOf(tag)));
    TokenDelta delta;
    std::vector<uint32_t> tokens;
    uint32_t count = 0;
    while (reader->Read(&delta)) {
      tokens.insert(tokens.end(), delta.token_ids().begin(), delta.token_ids().end());
      count += delta.count();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(tokens, FakeContinuation(PromptOf(tag), LengthOf(tag)));
    EXPECT_EQ(count, LengthOf(tag));
    EXPECT_EQ(delta.finish_reason(), FINISH_REASON_LENGTH);
    EXPECT_EQ(delta.usage().prompt_tokens(), PromptOf(tag).size());
  }
}

// `delta` of a request that asked for `top` alternatives: a row of them per token.
void ExpectTopLogprobs(const TokenDelta& delta, int top) {
  ASSERT_EQ(delta.logprobs_size(), static_cast<int>(delta.count()));
  ASSERT_EQ(delta.top_logprobs_size(), top > 0 ? static_cast<int>(delta.count()) : 0);
  for (int i = 0; i < delta.top_logprobs_size(); ++i) {
    const uint32_t token = delta.token_ids(i);
    EXPECT_EQ(delta.logprobs(i), sim::SampledLogprob(token));
    ASSERT_EQ(delta.top_logprobs(i).token_ids_size(), top);
    ASSERT_EQ(delta.top_logprobs(i).logprobs_size(), top);
    for (int rank = 0; rank < top; ++rank) {
      EXPECT_EQ(delta.top_logprobs(i).token_ids(rank), sim::TopToken(token, rank));
      EXPECT_EQ(delta.top_logprobs(i).logprobs(rank), sim::TopLogprob(token, rank));
    }
  }
}

TEST_F(ServicesTest, TopLogprobsComeWithEveryToken) {
  Serve(milliseconds(0));
  GenerateRequest request = RequestOf(1, 30);
  request.mutable_sampling()->set_top_logprobs(5);
  grpc::ClientContext context;
  const auto reader = client_->Generate(&context, request);
  TokenDelta delta;
  uint32_t count = 0;
  while (reader->Read(&delta)) {
    ExpectTopLogprobs(delta, 5);
    count += delta.count();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 30);
}

TEST_F(ServicesTest, TopLogprobsOfManyRequestsAreEachTheirOwn) {
  Serve(milliseconds(0));
  grpc::ClientContext context;
  const auto stream = client_->GenerateMany(&context);
  GenerateManyRequest request;
  for (uint64_t tag = 0; tag <= 20; ++tag) {  // The tag is the number of alternatives.
    request.set_tag(tag);
    *request.mutable_start() = RequestOf(tag, LengthOf(tag));
    request.mutable_start()->mutable_sampling()->set_logprobs(true);
    request.mutable_start()->mutable_sampling()->set_top_logprobs(tag);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  std::map<uint64_t, uint32_t> counts;
  GenerateManyResponse response;
  while (stream->Read(&response)) {
    for (const TaggedDelta& tagged : response.deltas()) {
      ExpectTopLogprobs(tagged.delta(), static_cast<int>(tagged.tag()));
      counts[tagged.tag()] += tagged.delta().count();
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  for (uint64_t tag = 0; tag <= 20; ++tag) EXPECT_EQ(counts[tag], LengthOf(tag)) << tag;
}

TEST_F(ServicesTest, ABadRequestIsRefusedByName) {
  Serve(milliseconds(0));
  GenerateRequest request = RequestOf(1, 5);
  request.mutable_token_ids()->set_ids(0, 1'000'000);
  grpc::ClientContext context;
  const auto reader = client_->Generate(&context, request);
  TokenDelta delta;
  EXPECT_FALSE(reader->Read(&delta));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("token_ids[0]: 1000000"));
}

TEST_F(ServicesTest, AClientThatLeavesFreesItsBlocks) {
  options_.prefix_cache = false;
  Serve(milliseconds(2));
  {
    grpc::ClientContext context;
    const auto reader = client_->Generate(&context, RequestOf(1, 1500));
    TokenDelta delta;
    ASSERT_TRUE(reader->Read(&delta));
    EXPECT_EQ(State().running(), 1);
    context.TryCancel();
  }
  {
    grpc::ClientContext context;
    const auto stream = client_->GenerateMany(&context);
    for (uint64_t tag = 1; tag <= 20; ++tag) {
      GenerateManyRequest request;
      request.set_tag(tag);
      *request.mutable_start() = RequestOf(tag, 1500);
      ASSERT_TRUE(stream->Write(request));
    }
    GenerateManyResponse response;
    ASSERT_TRUE(stream->Read(&response));
    context.TryCancel();
  }
  EXPECT_TRUE(Await(
      [&] {
        const ClusterState state = State();
        return state.running() + state.waiting() == 0 && state.kv_usage() == 0;
      },
      absl::Seconds(2)));
}

TEST_F(ServicesTest, ManyRequestsShareAStream) {
  Serve(milliseconds(1));
  constexpr uint64_t kRequests = 60;
  constexpr uint64_t kCancelled = 1000, kRefused = 1001;
  grpc::ClientContext context;
  const auto stream = client_->GenerateMany(&context);
  GenerateManyRequest request;
  for (uint64_t tag = 1; tag <= kRequests; ++tag) {
    request.set_tag(tag);
    *request.mutable_start() = RequestOf(tag, LengthOf(tag));
    ASSERT_TRUE(stream->Write(request));
  }
  request.set_tag(kCancelled);
  *request.mutable_start() = RequestOf(kCancelled, 1900);
  request.mutable_start()->set_priority(1);
  ASSERT_TRUE(stream->Write(request));
  request.set_tag(kRefused);
  request.mutable_start()->set_max_tokens(1'000'000);
  ASSERT_TRUE(stream->Write(request));
  std::map<uint64_t, std::vector<uint32_t>> tokens;
  std::map<uint64_t, TaggedDelta> last;
  size_t deltas = 0, messages = 0;
  GenerateManyResponse response;
  while (stream->Read(&response)) {
    ++messages;
    for (const TaggedDelta& tagged : response.deltas()) {
      ++deltas;
      auto& of_request = tokens[tagged.tag()];
      of_request.insert(of_request.end(), tagged.delta().token_ids().begin(),
                        tagged.delta().token_ids().end());
      EXPECT_EQ(last[tagged.tag()].delta().finish_reason(), FINISH_REASON_NONE);
      last[tagged.tag()] = tagged;
      if (tagged.tag() == kCancelled && of_request.size() == 3 && tagged.delta().count() > 0) {
        request.set_tag(kCancelled);
        request.set_cancel(true);
        ASSERT_TRUE(stream->Write(request));
        ASSERT_TRUE(stream->WritesDone());
      }
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  for (uint64_t tag = 1; tag <= kRequests; ++tag) {
    EXPECT_EQ(tokens[tag], FakeContinuation(PromptOf(tag), LengthOf(tag))) << tag;
    EXPECT_EQ(last[tag].delta().finish_reason(), FINISH_REASON_LENGTH);
  }
  EXPECT_EQ(last[kCancelled].delta().finish_reason(), FINISH_REASON_CANCELLED);
  EXPECT_EQ(last[kRefused].status_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(last[kRefused].delta().error(), HasSubstr("max_tokens"));
  EXPECT_LT(messages * 2, deltas) << "a message carries a step's deltas";
}

TEST_F(ServicesTest, ATagInUseEndsTheStream) {
  Serve(milliseconds(2));
  grpc::ClientContext context;
  const auto stream = client_->GenerateMany(&context);
  GenerateManyRequest request;
  request.set_tag(7);
  *request.mutable_start() = RequestOf(1, 1000);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Write(request));
  GenerateManyResponse response;
  while (stream->Read(&response)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("tag 7"));
  EXPECT_TRUE(Await([&] { return State().running() == 0; }));
}

TEST_F(ServicesTest, TheClusterIsDescribedWatchedRepartitionedAndDrained) {
  Serve(milliseconds(1));
  SubmitAll(1, 30);
  ClusterDescription description;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(operator_->Describe(&context, ClusterDescribeRequest(), &description).ok());
    EXPECT_EQ(description.model_name(), "fake");
    EXPECT_EQ(description.groups_size(), 1);
  }
  {
    WatchRequest request;
    request.set_interval_ms(20);
    grpc::ClientContext context;
    const auto reader = operator_->Watch(&context, request);
    ClusterState state;
    int64_t before = 0;
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(reader->Read(&state));
      EXPECT_GE(state.time_ns(), before + (i == 0 ? 1 : 15'000'000));
      before = state.time_ns();
    }
    context.TryCancel();
  }
  {
    RepartitionRequest request;
    *request.mutable_layout() = *MakeLayout(2, 1, 1, 1);
    grpc::ClientContext context;
    const auto reader = operator_->Repartition(&context, request);
    RepartitionProgress progress;
    while (reader->Read(&progress)) {
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(progress.stage(), "done");
    EXPECT_GT(progress.total_seconds(), 0);
  }
  DrainRequest request;
  request.set_deadline_ms(20'000);
  DrainResponse drained;
  grpc::ClientContext context;
  ASSERT_TRUE(operator_->Drain(&context, request, &drained).ok());
  EXPECT_EQ(drained.cancelled(), 0);
  ExpectExact(1, 30);
}

}  // namespace
}  // namespace regatta
