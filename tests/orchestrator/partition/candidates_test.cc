// Layouts and precisions of a pool: which are tried, in which order, and why others are not.
#include "orchestrator/partition/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/layout.h"
#include "tests/testing/models.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

CandidateInput On(const char* model, uint32_t ranks, const char* device, double memory_gib) {
  CandidateInput input;
  input.checkpoint = PublishedModel(model);
  input.pool = {ranks, device, memory_gib};
  input.concurrencies = {1, 8, 64};
  input.precisions = {Precision()};
  return input;
}

std::vector<Candidate> Enumerate(const CandidateInput& input) {
  const auto all = EnumerateCandidates(input);
  EXPECT_TRUE(all.ok()) << all.status();
  return all.value_or(std::vector<Candidate>());
}

std::vector<std::string> Tried(const std::vector<Candidate>& all) {
  std::vector<std::string> names;
  for (const Candidate& candidate : all) {
    if (candidate.dropped.empty()) names.push_back(CandidateName(candidate));
  }
  return names;
}

std::string WhyNot(const std::vector<Candidate>& all, const std::string& name) {
  for (const Candidate& candidate : all) {
    if (CandidateName(candidate) == name) return candidate.dropped;
  }
  return "not enumerated";
}

TEST(Candidates, EveryLayoutFillsThePool) {
  const std::vector<Candidate> all = Enumerate(On("llama-3.1-8b", 4, "NVIDIA H200", 140));
  EXPECT_THAT(Tried(all),
              UnorderedElementsAre("dp4", "tp2-dp2", "pp2-dp2", "tp4", "tp2-pp2", "pp4"));
  for (const Candidate& candidate : all) {
    EXPECT_EQ(WorldSize(candidate.layout), 4u) << CandidateName(candidate);
    EXPECT_EQ(candidate.idle, 0u);
    EXPECT_EQ(candidate.prior.size(), 3u);
  }
}

TEST(Candidates, ExpertsAreSpreadOverTensorRanks) {
  const std::vector<std::string> tried =
      Tried(Enumerate(On("qwen3-30b-a3b", 4, "NVIDIA H200", 140)));
  EXPECT_THAT(tried, AllOf(Contains("tp4-ep4"), Contains("tp4-ep2"), Contains("tp2-ep2-dp2"),
                           Contains("tp2-ep2-pp2"), Contains("pp4")));
}

TEST(Candidates, WhatDoesNotFitIsDroppedWithItsReason) {
  const std::vector<Candidate> all = Enumerate(On("llama-3.3-70b", 4, "NVIDIA H100 80GB", 79.6));
  EXPECT_THAT(Tried(all), UnorderedElementsAre("tp2-dp2", "pp2-dp2", "tp4", "tp2-pp2", "pp4"));
  EXPECT_THAT(WhyNot(all, "dp4"), HasSubstr("needs 131.42 GiB for its weights"));
  EXPECT_EQ(all.back().dropped.empty(), false) << "dropped ones come last";
  // 6 ranks: neither 3 nor 6 divides the heads; the reason names what does not divide.
  const std::vector<Candidate> six = Enumerate(On("llama-3.1-8b", 6, "NVIDIA H200", 140));
  EXPECT_EQ(WhyNot(six, "tp3-dp2"), "tp 3 neither divides 8 KV heads nor is a multiple of them");
  EXPECT_THAT(Tried(six), Contains("pp3-dp2"));
}

TEST(Candidates, Fp8MakesRoomForFewerRanks) {
  CandidateInput input = On("llama-3.3-70b", 2, "NVIDIA H100 80GB", 79.6);
  input.precisions = *ParsePrecisions("bf16,fp8-static-kv");
  input.dummy_weights = true;
  const std::vector<Candidate> all = Enumerate(input);
  EXPECT_THAT(WhyNot(all, "dp2 bf16"), HasSubstr("weights"));
  EXPECT_EQ(WhyNot(all, "dp2 fp8-static-kv"), "");
  EXPECT_EQ(WhyNot(all, "tp2 bf16"), "");
}

TEST(Candidates, PrecisionsStayTogetherInTheOrderAsked) {
  CandidateInput input = On("llama-3.1-8b", 2, "NVIDIA H200", 140);
  input.precisions = *ParsePrecisions("fp8,bf16");
  const std::vector<std::string> tried = Tried(Enumerate(input));
  ASSERT_EQ(tried.size(), 6u);
  for (size_t i = 0; i < tried.size(); ++i) {
    EXPECT_THAT(tried[i], HasSubstr(i < 3 ? " fp8" : " bf16"));
  }
}

// Pipelines neither shorten a token nor save reads: of tp4, dp4 and pp4 they are the last choice.
TEST(Candidates, ThePriorTriesPipelinesLast) {
  CandidateInput input = On("llama-3.1-8b", 4, "NVIDIA H100 80GB HBM3", 79.6);
  input.layouts = *ParseLayouts("pp4,tp4,dp4", 4);
  EXPECT_EQ(Tried(Enumerate(input)).back(), "pp4");
}

TEST(Candidates, ACheckpointThatIsQuantisedStaysSo) {
  CandidateInput input = On("llama-3.1-8b", 2, "NVIDIA H200", 140);
  input.checkpoint.quantization.scheme = QuantizationScheme::kTensor;
  input.precisions = *ParsePrecisions("bf16");
  const auto all = EnumerateCandidates(input);
  EXPECT_EQ(all.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(all.status().message()),
              HasSubstr("--precision bf16: the checkpoint of llama-3.1-8b is fp8 per tensor"));
}

TEST(Layouts, WithoutDpTheyFillThePool) {
  const auto layouts = ParseLayouts("tp2, tp2-ep2, pp2-tp2-dp1,tp1-dp3", 8);
  ASSERT_TRUE(layouts.ok()) << layouts.status();
  std::vector<std::string> names;
  for (const Layout& layout : *layouts) names.push_back(LayoutName(layout));
  EXPECT_THAT(names, ElementsAre("tp2-dp4", "tp2-ep2-dp4", "tp2-pp2", "dp3"));
  CandidateInput input = On("llama-3.1-8b", 8, "NVIDIA H200", 140);
  input.layouts = *ParseLayouts("dp3", 8);
  EXPECT_EQ(Enumerate(input)[0].idle, 5u);
}

TEST(Layouts, BadOnesAreRefusedByName) {
  const auto refusal = [](const char* text) {
    return std::string(ParseLayouts(text, 4).status().message());
  };
  EXPECT_THAT(refusal("tp2,xp2"), HasSubstr("--layouts 'xp2': 'xp2' begins with none of tp, pp"));
  EXPECT_THAT(refusal("tp0"), HasSubstr("'0' is no size in 1..65536"));
  EXPECT_THAT(refusal("tp2-tp2"), HasSubstr("tp is given twice"));
  EXPECT_THAT(refusal("tp8"), HasSubstr("it needs 8 ranks, the pool has 4"));
  EXPECT_THAT(refusal("tp4-ep3"), HasSubstr("ep 3 does not divide tp 4"));
  EXPECT_THAT(refusal("tp2,tp2-dp2"), HasSubstr("it is there twice"));
  EXPECT_THAT(refusal(""), HasSubstr("--layouts ''"));
}

TEST(Precisions, NamesMeanFlags) {
  const auto precisions = ParsePrecisions("BF16, fp8-kv");
  ASSERT_TRUE(precisions.ok()) << precisions.status();
  EXPECT_EQ((*precisions)[0].dtype, "bfloat16");
  EXPECT_EQ((*precisions)[0].kv_cache_dtype, "auto");
  const ClusterOptions launched = WithPrecision((*precisions)[1], ClusterOptions());
  EXPECT_EQ(launched.quantization, "fp8");
  EXPECT_EQ(launched.kv_cache_dtype, "fp8");
  EXPECT_EQ(ParsePrecisions("bf16,int4").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ParsePrecisions("bf16,int4").status().message()), HasSubstr("'int4'"));
  EXPECT_THAT(std::string(ParsePrecisions("fp8,fp8").status().message()), HasSubstr("twice"));
}

TEST(Precisions, BytesOfAModelInEach) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  const auto plain = InPrecision(spec, Precision(), false, false);
  EXPECT_EQ(plain->weight_bytes, 2);
  EXPECT_EQ(plain->kv_bytes, 2);
  const auto fp8 = InPrecision(spec, (*ParsePrecisions("fp8-kv"))[0], false, false);
  EXPECT_GT(fp8->weight_bytes, 1);  // embedding and head stay plain
  EXPECT_LT(fp8->weight_bytes, 1.2);
  EXPECT_EQ(fp8->kv_bytes, 1);
  const auto on_cpu = InPrecision(spec, (*ParsePrecisions("fp8"))[0], false, true);
  EXPECT_EQ(on_cpu->weight_bytes, 4);  // unpacked
  EXPECT_EQ(on_cpu->kv_bytes, 4);
}

}  // namespace
}  // namespace regatta
