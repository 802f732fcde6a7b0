// What a client may ask: defaults resolved, and errors that name field, value and limit.
#include "router/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RequestTest : public testing::Test {
 protected:
  RequestTest() {
    model_.name = "tiny";
    model_.vocab_size = 303;
    model_.max_position = 128;
    model_.eos_token_ids = {301};
    limits_.max_seq_len = 100;
    limits_.max_num_tokens = 64;
    limits_.tokenizer = tokenizer_.get();
    request_.mutable_token_ids()->mutable_ids()->Add(5);
    request_.mutable_token_ids()->mutable_ids()->Add(6);
  }
  // The error of the request after `change`.
  std::string Error(const std::function<void(GenerateRequest&)>& change) {
    GenerateRequest request = request_;
    change(request);
    const auto made = MakeRequest(request, limits_, 1000);
    EXPECT_FALSE(made.ok());
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(made.status().message());
  }

  std::unique_ptr<Tokenizer> tokenizer_ = LoadTiny();
  ModelSpec model_;
  RequestLimits limits_{.model = model_};
  GenerateRequest request_;
};

TEST_F(RequestTest, DefaultsAreResolved) {
  request_.add_stop_token_ids(9);
  request_.set_max_tokens(8);
  request_.mutable_sampling()->set_min_tokens(2);
  limits_.queue_timeout_ms = 5;
  const auto made = MakeRequest(request_, limits_, 1000);
  ASSERT_TRUE(made.ok()) << made.status();
  const Request& request = **made;
  EXPECT_THAT(request.spec.tokens, ElementsAre(5, 6));
  EXPECT_EQ(request.spec.prompt_length, 2);
  EXPECT_EQ(request.spec.max_output_tokens, 8);
  EXPECT_THAT(request.spec.stop_token_ids, ElementsAre(9, 301));
  EXPECT_THAT(request.spec.sampling.suppressed_until_min_tokens(), ElementsAre(9, 301));
  EXPECT_EQ(request.queue_deadline_ns, 1000 + 5'000'000);
  EXPECT_TRUE(request.spec.prefix_cache);
}

TEST_F(RequestTest, LongestIsWhatALayoutMustHold) {
  EXPECT_EQ((*MakeRequest(request_, limits_, 0))->longest,
            100u);  // Without max_tokens: the context.
  request_.set_max_tokens(7);
  EXPECT_EQ((*MakeRequest(request_, limits_, 0))->longest, 9u);
}

TEST_F(RequestTest, PriorityOutOfRangeIsNamed) {
  EXPECT_THAT(Error([](GenerateRequest& r) { r.set_priority(INT32_MIN); }),
              HasSubstr("priority: -2147483648"));
  request_.set_priority(-kMaxPriority);
  EXPECT_EQ((*MakeRequest(request_, limits_, 0))->spec.priority, -kMaxPriority);
  limits_.ignore_priority = true;
  EXPECT_EQ((*MakeRequest(request_, limits_, 0))->spec.priority, 0);
}

TEST_F(RequestTest, IgnoreEosKeepsStopIds) {
  request_.add_stop_token_ids(9);
  request_.set_ignore_eos(true);
  request_.set_no_prefix_cache(true);
  const auto made = MakeRequest(request_, limits_, 0);
  ASSERT_TRUE(made.ok());
  EXPECT_THAT((*made)->spec.stop_token_ids, ElementsAre(9));
  EXPECT_FALSE((*made)->spec.prefix_cache);
  EXPECT_EQ((*made)->queue_deadline_ns, 0);
}

TEST_F(RequestTest, TextIsTokenisedWithSpecialTokens) {
  request_.set_text("hello<|eos|>");
  const auto made = MakeRequest(request_, limits_, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT((*made)->spec.tokens, ElementsAre(300, 259, 301));
}

TEST_F(RequestTest, PromptErrorsNameValueAndLimit) {
  EXPECT_THAT(Error([](auto& r) { r.clear_prompt(); }), HasSubstr("neither"));
  EXPECT_THAT(Error([](auto& r) { r.mutable_token_ids()->clear_ids(); }), HasSubstr("0 tokens"));
  EXPECT_THAT(Error([](auto& r) { r.mutable_token_ids()->set_ids(1, 303); }),
              HasSubstr("token_ids[1]: 303 is not below the vocabulary size 303"));
  EXPECT_THAT(Error([](auto& r) { r.mutable_token_ids()->mutable_ids()->Resize(100, 1); }),
              HasSubstr("100 tokens leave no room for output within max_seq_len 100"));
  EXPECT_THAT(Error([](auto& r) { r.set_max_tokens(99); }), HasSubstr("max_tokens: 99"));
  EXPECT_THAT(Error([](auto& r) { r.set_max_tokens(UINT32_MAX); }), HasSubstr("max_seq_len 100"));
  EXPECT_THAT(Error([](auto& r) { r.set_request_id(std::string(257, 'x')); }), HasSubstr("257"));
  limits_.chunked_prefill = false;
  EXPECT_THAT(Error([](auto& r) { r.mutable_token_ids()->mutable_ids()->Resize(65, 1); }),
              HasSubstr("max_num_tokens 64"));
}

TEST_F(RequestTest, SamplingErrorsNameValueAndLimit) {
  const auto error = [this](const std::function<void(SamplingParams&)>& change) {
    return Error([&](GenerateRequest& request) { change(*request.mutable_sampling()); });
  };
  EXPECT_THAT(error([](auto& s) { s.set_temperature(-1); }), HasSubstr("temperature: -1"));
  EXPECT_THAT(error([](auto& s) { s.set_temperature(NAN); }), HasSubstr("temperature: nan"));
  EXPECT_THAT(error([](auto& s) { s.set_temperature(INFINITY); }), HasSubstr("temperature: inf"));
  EXPECT_THAT(error([](auto& s) { s.set_top_p(1.5f); }), HasSubstr("top_p: 1.5"));
  EXPECT_THAT(error([](auto& s) { s.set_min_p(-0.5f); }), HasSubstr("min_p: -0.5"));
  EXPECT_THAT(error([](auto& s) { s.set_repetition_penalty(-1); }), HasSubstr("repetition"));
  EXPECT_THAT(error([](auto& s) { s.set_presence_penalty(3); }), HasSubstr("[-2, 2]"));
  EXPECT_THAT(error([](auto& s) { s.set_frequency_penalty(-3); }), HasSubstr("[-2, 2]"));
  EXPECT_THAT(error([](auto& s) { s.set_top_logprobs(21); }), HasSubstr("limit of 20"));
  EXPECT_THAT(error([](auto& s) { s.add_suppressed_until_min_tokens(999); }), HasSubstr("999"));
  EXPECT_THAT(Error([](auto& r) {
                r.set_max_tokens(3);
                r.mutable_sampling()->set_min_tokens(4);
              }),
              HasSubstr("min_tokens: 4 is over max_tokens 3"));
}

TEST_F(RequestTest, BiasErrorsNameValueAndLimit) {
  const auto error = [this](const std::vector<uint32_t>& tokens, const std::vector<float>& values) {
    return Error([&](GenerateRequest& request) {
      SamplingParams& sampling = *request.mutable_sampling();
      sampling.mutable_bias_token()->Add(tokens.begin(), tokens.end());
      sampling.mutable_bias()->Add(values.begin(), values.end());
    });
  };
  EXPECT_THAT(error({1, 2}, {1}),
              HasSubstr("sampling.bias: 1 values for 2 of sampling.bias_token"));
  EXPECT_THAT(error({1, 303}, {1, 1}), HasSubstr("sampling.bias_token[1]: 303"));
  EXPECT_THAT(error({1, 2}, {1, -101}), HasSubstr("sampling.bias[1]: -101 is not within [-100"));
  EXPECT_THAT(error({1}, {NAN}), HasSubstr("sampling.bias[0]: nan"));
  EXPECT_THAT(error({4, 2, 4}, {1, 1, 1}), HasSubstr("sampling.bias_token: 4 is given twice"));
  EXPECT_THAT(error(std::vector<uint32_t>(1025), std::vector<float>(1025)),
              HasSubstr("1025 ids are over the limit of 1024"));
  request_.mutable_sampling()->add_bias_token(302);
  request_.mutable_sampling()->add_bias(100);
  const auto made = MakeRequest(request_, limits_, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT((*made)->spec.sampling.bias(), ElementsAre(100));
}

TEST_F(RequestTest, AConstraintSaysWhereTheOutputEnds) {
  const auto error = [this](const std::function<void(GenerateRequest&)>& change) {
    return Error([&](GenerateRequest& request) {
      request.mutable_constraint()->set_json_object(true);
      change(request);
    });
  };
  EXPECT_THAT(error([](auto& r) { r.set_ignore_eos(true); }), HasSubstr("ignore_eos"));
  EXPECT_THAT(error([](auto& r) { r.mutable_sampling()->set_min_tokens(2); }),
              HasSubstr("min_tokens: 2"));
  EXPECT_THAT(error([](auto& r) { r.add_stop_token_ids(1); }), HasSubstr("stop_token_ids: "));
  EXPECT_THAT(error([](auto& r) { r.mutable_constraint()->set_json_object(false); }),
              HasSubstr("json_object: false"));
  EXPECT_THAT(
      error([](auto& r) { r.mutable_constraint()->set_json_schema(std::string(65537, ' ')); }),
      HasSubstr("65537 bytes are over the limit of 65536"));
  EXPECT_FALSE((*MakeRequest(request_, limits_, 0))->spec.constrained);
  request_.mutable_constraint()->set_json_schema("{}");
  const auto made = MakeRequest(request_, limits_, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE((*made)->spec.constrained);
  EXPECT_EQ((*made)->wanted.json_schema(), "{}");
}

TEST_F(RequestTest, PromptLogprobsAreComputedNotCachedAndBounded) {
  request_.set_prompt_logprobs(true);
  const auto made = MakeRequest(request_, limits_, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE((*made)->spec.prompt_logprobs);
  EXPECT_FALSE((*made)->spec.prefix_cache);
  limits_.max_seq_len = 100000;
  request_.mutable_sampling()->set_top_logprobs(20);
  EXPECT_THAT(Error([](auto& r) { r.mutable_token_ids()->mutable_ids()->Resize(12484, 1); }),
              HasSubstr("12484 tokens with top_logprobs 20 are 262164 log-probabilities, over the "
                        "limit of 262144"));
}

TEST_F(RequestTest, StopErrorsNameValueAndLimit) {
  EXPECT_THAT(Error([](auto& r) {
                for (int i = 0; i < 17; ++i) r.add_stop("x");
              }),
              HasSubstr("17 strings are over the limit of 16"));
  EXPECT_THAT(Error([](auto& r) { r.add_stop(""); }), HasSubstr("stop[0]: 0 bytes"));
  EXPECT_THAT(Error([](auto& r) { r.add_stop(std::string(257, 'x')); }), HasSubstr("257 bytes"));
  EXPECT_THAT(Error([](auto& r) { r.add_stop_token_ids(303); }), HasSubstr("stop_token_ids[0]"));
  EXPECT_THAT(Error([](auto& r) { r.mutable_stop_token_ids()->Resize(129, 1); }), HasSubstr("129"));
  limits_.tokenizer = nullptr;
  EXPECT_THAT(Error([](auto& r) { r.add_stop("x"); }), HasSubstr("tokenizer"));
  EXPECT_THAT(Error([](auto& r) { r.set_return_text(true); }), HasSubstr("tokenizer"));
  EXPECT_THAT(Error([](auto& r) { r.set_text("x"); }), HasSubstr("tokenizer"));
}

}  // namespace
}  // namespace regatta
