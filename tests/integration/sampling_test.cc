// Masks, biases and scored prompts through the whole service: a gRPC client, the router, and worker
// processes with models trained by us. The constraint is the simulation's, which only knows tokens.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/layout.h"
#include "proto/inference.grpc.pb.h"
#include "router/cluster/coordinator.h"
#include "router/inference_service.h"
#include "tests/testing/fake_compiler.h"
#include "tests/testing/worker_pool.h"

namespace regatta {
namespace {

using testing::Each;

struct Case {
  std::string model;
  uint32_t tp, pp;
};

// What a client has read of one request.
struct Reply {
  std::vector<uint32_t> tokens;
  std::vector<float> logprobs;
  PromptLogprobs prompt;
  int prompts = 0;  // deltas with log-probabilities of the prompt
  TokenDelta last;
  grpc::Status status;
};

class SamplingTest : public testing::TestWithParam<Case> {
 protected:
  SamplingTest() : workers_(2) {
    const std::string path = REGATTA_SOURCE_DIR "/tests/models/" + GetParam().model;
    spec_ = *LoadModelSpec(path);
    PoolOptions pool;
    pool.addresses = {workers_.address(0), workers_.address(1)};
    pool_ = *Pool::Create(pool);
    CoordinatorOptions options;
    options.layout = *MakeLayout(GetParam().tp, GetParam().pp, 1, 1);
    options.limits.set_max_batch_size(8);
    options.limits.set_max_num_tokens(48);
    options.limits.set_max_seq_len(256);
    options.former.model.set_path(path);
    options.former.max_inflight = 3;
    options.constraints = &compiler_;
    coordinator_ = std::make_unique<Coordinator>(options, spec_, nullptr, *pool_);
    const absl::Status started = coordinator_->Start();
    EXPECT_TRUE(started.ok()) << started;
    service_ = std::make_unique<InferenceService>(*coordinator_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    client_ = Inference::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }
  ~SamplingTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::vector<uint32_t> Prompt(uint32_t seed, uint32_t length) const {
    std::vector<uint32_t> prompt;
    for (uint32_t i = 0; i < length; ++i) prompt.push_back((seed + 37 * i) % spec_.vocab_size);
    return prompt;
  }
  static GenerateRequest Request(const std::vector<uint32_t>& prompt, uint32_t max_tokens) {
    GenerateRequest request;
    request.mutable_token_ids()->mutable_ids()->Assign(prompt.begin(), prompt.end());
    request.set_max_tokens(max_tokens);
    request.set_return_token_ids(true);
    request.mutable_sampling()->set_logprobs(true);
    return request;
  }
  Reply Generate(const GenerateRequest& request) {
    grpc::ClientContext context;
    const auto reader = client_->Generate(&context, request);
    Reply reply;
    TokenDelta delta;
    while (reader->Read(&delta)) {
      reply.tokens.insert(reply.tokens.end(), delta.token_ids().begin(), delta.token_ids().end());
      reply.logprobs.insert(reply.logprobs.end(), delta.logprobs().begin(), delta.logprobs().end());
      if (delta.has_prompt_logprobs()) {
        EXPECT_EQ(reply.tokens.size(), delta.count()) << "not the first delta";
        reply.prompt = delta.prompt_logprobs();
        ++reply.prompts;
      }
      reply.last = delta;
    }
    reply.status = reader->Finish();
    EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
    return reply;
  }
  // All at once.
  std::vector<Reply> GenerateAll(const std::vector<GenerateRequest>& requests) {
    std::vector<Reply> replies(requests.size());
    std::vector<std::thread> clients;
    for (size_t i = 0; i < requests.size(); ++i) {
      clients.emplace_back([&, i] { replies[i] = Generate(requests[i]); });
    }
    for (std::thread& client : clients) client.join();
    return replies;
  }

  ModelSpec spec_;
  FakeCompiler compiler_;
  WorkerPool workers_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<InferenceService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Inference::Stub> client_;
};

TEST_P(SamplingTest, ConstraintsHoldAndTheOthersAreAsTheyWere) {
  std::vector<GenerateRequest> free, mixed;
  for (uint32_t i = 0; i < 8; ++i) {
    free.push_back(Request(Prompt(i, 5 + 9 * i), 24));
    free.back().mutable_sampling()->set_temperature(i % 4 < 2 ? 0 : 0.9f);
    free.back().mutable_sampling()->set_seed(i);
    mixed.push_back(free.back());
    if (i % 2 == 0) mixed.back().mutable_constraint()->set_json_schema(absl::StrCat(i));
  }
  const std::vector<Reply> want = GenerateAll(free);
  const std::vector<Reply> got = GenerateAll(mixed);
  for (uint32_t i = 0; i < 8; ++i) {
    if (i % 2 == 1) {
      EXPECT_EQ(got[i].tokens, want[i].tokens) << i;
      continue;
    }
    EXPECT_NE(got[i].tokens, want[i].tokens) << i;
    sim::FakeConstraint constraint(i);
    for (const uint32_t token : got[i].tokens) EXPECT_TRUE(constraint.Accept(token)) << token;
    EXPECT_TRUE(got[i].tokens.size() == 24 || got[i].last.finish_reason() == FINISH_REASON_STOP);
  }
}

TEST_P(SamplingTest, BiasesDecideGreedyChoices) {
  GenerateRequest request = Request(Prompt(3, 20), 6);
  request.set_ignore_eos(true);
  const Reply plain = Generate(request);
  ASSERT_EQ(plain.tokens.size(), 6u);
  const uint32_t other = (plain.tokens[0] + 5) % spec_.vocab_size;
  GenerateRequest wanted = request, banned = request;
  wanted.mutable_sampling()->add_bias_token(other);
  wanted.mutable_sampling()->add_bias(100);
  banned.mutable_sampling()->add_bias_token(plain.tokens[0]);
  banned.mutable_sampling()->add_bias(-100);
  const std::vector<Reply> replies = GenerateAll({wanted, request, banned});
  EXPECT_THAT(replies[0].tokens, Each(other));
  EXPECT_EQ(replies[1].tokens, plain.tokens);
  EXPECT_THAT(replies[2].tokens, Each(testing::Ne(plain.tokens[0])));
}

// A request's own output, given as a prompt, has the log-probabilities that it was drawn with.
TEST_P(SamplingTest, AScoredPromptHasTheLogprobsItsTokensWereDrawnWith) {
  const std::vector<uint32_t> prompt = Prompt(11, 90);
  GenerateRequest request = Request(prompt, 40);
  request.set_ignore_eos(true);
  request.mutable_sampling()->set_top_logprobs(3);
  const Reply drawn = Generate(request);
  std::vector<uint32_t> all = prompt;
  all.insert(all.end(), drawn.tokens.begin(), drawn.tokens.end());
  GenerateRequest scoring = Request(all, 2);  // in chunks of at most 48
  scoring.set_prompt_logprobs(true);
  scoring.mutable_sampling()->set_top_logprobs(3);
  const std::vector<Reply> replies = GenerateAll({scoring, request, scoring});
  EXPECT_EQ(replies[1].tokens, drawn.tokens);
  EXPECT_EQ(replies[1].prompts, 0);
  for (const Reply* reply : {&replies[0], &replies[2]}) {
    EXPECT_EQ(reply->prompts, 1);
    ASSERT_EQ(reply->prompt.logprobs_size(), static_cast<int>(all.size()) - 1);
    ASSERT_EQ(reply->prompt.top_logprobs_size(), static_cast<int>(all.size()) - 1);
    for (size_t i = 0; i < drawn.tokens.size(); ++i) {
      const int place = static_cast<int>(prompt.size() + i) - 1;
      EXPECT_NEAR(reply->prompt.logprobs(place), drawn.logprobs[i], 1e-4) << i;
      ASSERT_EQ(reply->prompt.top_logprobs(place).token_ids_size(), 3);
      EXPECT_EQ(reply->prompt.top_logprobs(place).token_ids(0), drawn.tokens[i]) << "greedy";
    }
    EXPECT_EQ(reply->last.usage().cached_tokens(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SamplingTest,
                         testing::Values(Case{"regatta-dense", 2, 1}, Case{"regatta-dense", 1, 2},
                                         Case{"regatta-moe", 2, 1}, Case{"regatta-moe", 1, 2}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.model.substr(8), "_tp", info.param.tp,
                                               "_pp", info.param.pp);
                         });

}  // namespace
}  // namespace regatta
