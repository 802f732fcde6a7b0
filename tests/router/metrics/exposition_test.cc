// What /metrics shows: the text is well-formed, says what the library's own serializer says, has
// every series of the list, and docs/METRICS.md is the same list.
#include "router/metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "router/metrics/text_format.h"
#include "tests/testing/prometheus_text.h"

namespace regatta {
namespace {

using regatta::testing::ParsedFamily;
using regatta::testing::ParsedMetrics;
using regatta::testing::ParseMetrics;
using ::testing::HasSubstr;

class ExpositionTest : public ::testing::Test {
 protected:
  ExpositionTest() {
    options_.http = [this] { return http_; };
  }

  std::string Text() { return TextFormat(Exposition(metrics_, options_).Collect()); }
  ParsedMetrics Parsed() {
    const std::string text = Text();
    const auto parsed = ParseMetrics(text);
    EXPECT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
    return parsed.ok() ? *parsed : ParsedMetrics();
  }
  // Two groups in the middle of their work.
  void AddWork() {
    for (uint32_t i = 0; i < 2; ++i) {
      const auto group = metrics_.AddGroup(i + 1, {.index = i,
                                                   .num_ranks = 2,
                                                   .kv_blocks = 100,
                                                   .block_size = 16,
                                                   .kv_cache_dtype = "fp8"});
      SchedulerState state;
      state.running = 3 + i;
      state.waiting = 5;
      state.used_blocks = 25 * (i + 1);
      state.cached_blocks = 10;
      group->SetState(state);
      group->StepPlanned(3, 700, 12'345);
      group->StepCommitted(4'321'000, 4'000'000, 9'999);
      group->FirstTokens(1, 640, 123'456'789);
      group->LaterTokens(1, 25'000'000);
      group->Published(55'555);
      group->WaitedForMasks(3'000'000);
      group->ComputedMasks(5'000'000);
      group->rank(1).compute_ns.Add(1'500'000'000);
      group->rank(1).timed_steps.Add(3);
      group->rank(0).completed.Set(17);
      GpuReading gpu;
      gpu.set_power_mw(650'500);
      if (i == 0) gpu.set_energy_mj(12'000);
      group->rank(1).gpu.Set(gpu);
    }
    metrics_.SetUnplaced(2);
    metrics_.GrammarCompiled(250'000'000);
    metrics_.ends().Count(FINISH_REASON_STOP);
    metrics_.ends().Count(FINISH_REASON_CANCELLED);
    metrics_.Refused(absl::StatusCode::kResourceExhausted);
    http_ = {.connections = 4, .requests = {{"GET", "/v1/models/{id}", 404, 9}}};
  }

  RouterMetrics metrics_{4096};
  HttpFigures http_;
  ExpositionOptions options_{.model_name = "a/model"};
};

TEST_F(ExpositionTest, BeforeAModelIsLoaded_ListedFamiliesAreThere) {
  const ParsedMetrics parsed = Parsed();
  std::set<std::string> expected, shown;
  for (const MetricRow& row : MetricTable()) expected.insert(row.name);
  for (const auto& [name, family] : parsed.families) shown.insert(name);
  EXPECT_EQ(shown, expected);
  EXPECT_EQ(parsed.Sum("regatta_groups"), 0);
  EXPECT_EQ(parsed.Sum("regatta_request_success_total"), 0);
  EXPECT_EQ(parsed.Sum("regatta_time_to_first_token_seconds_count"), 0);
  EXPECT_EQ(parsed.Sum("regatta_build_info"), 1);
}

TEST_F(ExpositionTest, Work_IsShown) {
  AddWork();
  const ParsedMetrics parsed = Parsed();
  EXPECT_EQ(parsed.Sum("regatta_num_requests_running", {{"model_name", "a/model"}}), 7);
  EXPECT_EQ(parsed.Sum("regatta_num_requests_waiting"), 12);
  EXPECT_EQ(parsed.Sum("regatta_kv_cache_usage_perc"), 0.5);
  EXPECT_EQ(parsed.Sum("regatta_group_requests_running", {{"group", "1"}}), 4);
  EXPECT_EQ(parsed.Sum("regatta_group_kv_blocks", {{"group", "1"}, {"state", "used"}}), 50);
  EXPECT_EQ(parsed.Sum("regatta_group_kv_blocks", {{"group", "1"}, {"state", "cached"}}), 10);
  EXPECT_EQ(parsed.Sum("regatta_group_kv_blocks", {{"group", "1"}, {"state", "free"}}), 40);
  EXPECT_EQ(parsed.Sum("regatta_cache_config_info",
                       {{"group", "0"}, {"block_size", "16"}, {"num_gpu_blocks", "100"}}),
            1);
  EXPECT_EQ(parsed.Sum("regatta_rank_compute_seconds_total", {{"group", "1"}, {"rank", "1"}}), 1.5);
  EXPECT_EQ(parsed.Sum("regatta_rank_timed_steps_total", {{"rank", "1"}}), 6);
  EXPECT_EQ(parsed.Sum("regatta_rank_completed_step", {{"group", "0"}, {"rank", "0"}}), 17);
  EXPECT_EQ(parsed.Sum("regatta_gpu_power_watts", {{"group", "1"}, {"rank", "1"}}), 650.5);
  EXPECT_EQ(parsed.Sum("regatta_gpu_power_watts"), 1301) << "of ranks whose GPU tells";
  EXPECT_EQ(parsed.Sum("regatta_gpu_energy_joules_total", {{"group", "0"}, {"rank", "1"}}), 12);
  EXPECT_EQ(parsed.families.at("regatta_gpu_energy_joules_total").samples.size(), 1);
  EXPECT_EQ(parsed.Sum("regatta_request_success_total", {{"finished_reason", "abort"}}), 1);
  EXPECT_EQ(parsed.Sum("regatta_admission_rejections_total", {{"reason", "resource_exhausted"}}),
            1);
  EXPECT_EQ(parsed.Sum("regatta_http_requests_total",
                       {{"method", "GET"}, {"route", "/v1/models/{id}"}, {"status", "404"}}),
            9);
  EXPECT_EQ(parsed.Sum("regatta_http_connections"), 4);
  // 25 ms is the bound of a bucket of vLLM's.
  EXPECT_EQ(parsed.Sum("regatta_inter_token_latency_seconds_bucket", {{"le", "0.01"}}), 0);
  EXPECT_EQ(parsed.Sum("regatta_inter_token_latency_seconds_bucket", {{"le", "0.025"}}), 2);
  EXPECT_EQ(parsed.Sum("regatta_iteration_tokens_total_sum"), 1400);
  EXPECT_DOUBLE_EQ(parsed.Sum("regatta_step_part_seconds_sum", {{"part", "masks"}}), 0.006);
  EXPECT_DOUBLE_EQ(parsed.Sum("regatta_mask_compute_seconds_sum"), 0.01);
  EXPECT_DOUBLE_EQ(parsed.Sum("regatta_grammar_compile_seconds_sum"), 0.25);
  EXPECT_EQ(parsed.Sum("regatta_grammar_compile_seconds_count"), 1);
}

TEST_F(ExpositionTest, VllmNames_AreTheSameSeriesOnceMore) {
  AddWork();
  EXPECT_THAT(Text(), ::testing::Not(HasSubstr("vllm:")));
  options_.vllm_names = true;
  const ParsedMetrics parsed = Parsed();
  int aliases = 0;
  for (const MetricRow& row : MetricTable()) {
    if (*row.alias == 0) continue;
    ++aliases;
    const std::string alias = absl::StrCat("vllm:", row.alias);
    ASSERT_EQ(parsed.families.count(alias), 1) << alias;
    EXPECT_EQ(parsed.families.at(alias).type, parsed.families.at(row.name).type) << alias;
    const std::string suffix = row.type == prometheus::MetricType::Histogram ? "_sum" : "";
    if (absl::StrContains(alias, "cache_config")) continue;  // One series instead of one a group.
    EXPECT_EQ(parsed.Sum(alias + suffix, {{"engine", "0"}, {"model_name", "a/model"}}),
              parsed.Sum(row.name + suffix))
        << alias;
  }
  EXPECT_EQ(aliases, 22);
  EXPECT_EQ(parsed.Sum("vllm:cache_config_info", {{"block_size", "16"}, {"num_gpu_blocks", "200"}}),
            1);
}

// The samples of a text, in an order of their own.
std::multiset<std::string> SamplesOf(const ParsedMetrics& parsed) {
  std::multiset<std::string> samples;
  for (const auto& [name, family] : parsed.families) {
    for (const auto& sample : family.samples) {
      regatta::testing::MetricLabels labels = sample.labels;
      double bound = 0;  // The library writes bounds with more digits.
      if (const auto le = labels.find("le");
          le != labels.end() && absl::SimpleAtod(le->second, &bound)) {
        le->second = absl::StrCat(bound);
      }
      samples.insert(absl::StrCat(family.type, " ", sample.name, " ",
                                  absl::StrJoin(labels, ",", absl::PairFormatter("=")), " ",
                                  sample.value));
    }
  }
  return samples;
}

TEST_F(ExpositionTest, OurText_SaysWhatTheLibrarysSerializerSays) {
  AddWork();
  options_.model_name = "a \"quoted\"\\name\nof two lines";
  options_.vllm_names = true;
  const auto families = Exposition(metrics_, options_).Collect();
  const auto theirs = ParseMetrics(prometheus::TextSerializer().Serialize(families));
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  const ParsedMetrics ours = Parsed();
  EXPECT_EQ(SamplesOf(ours), SamplesOf(*theirs));
  EXPECT_EQ(ours.Sum("regatta_groups", {{"model_name", options_.model_name}}), 2);
}

TEST_F(ExpositionTest, Numbers_KeepTheirValue) {
  prometheus::MetricFamily family{
      "numbers", "Help\\with\nescapes", prometheus::MetricType::Gauge, {}};
  for (const double value : {0.0, -3.0, 0.1, 1.0 / 3, 1e15, 123456789012345678.0, 1e-9, 2.5e300}) {
    auto& metric = family.metric.emplace_back();
    metric.label.push_back({"i", absl::StrCat(family.metric.size())});
    metric.gauge.value = value;
  }
  const std::string text = TextFormat({family});
  const auto parsed = ParseMetrics(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->families.at("numbers").samples.size(), family.metric.size());
  for (size_t i = 0; i < family.metric.size(); ++i) {
    EXPECT_EQ(parsed->families.at("numbers").samples[i].value, family.metric[i].gauge.value);
  }
  EXPECT_THAT(text, HasSubstr("# HELP numbers Help\\\\with\\nescapes\n"));
  EXPECT_THAT(text, HasSubstr("{i=\"5\"} 1000000000000000\n"));
}

// The reader that judges above refuses what a scraper would.
TEST(ParseMetrics, Malformed_Refused) {
  const std::string head = "# HELP a b\n# TYPE a counter\n";
  const std::string histogram = "# HELP h b\n# TYPE h histogram\n";
  EXPECT_TRUE(ParseMetrics(head + "a{x=\"y\"} 1\n").ok());
  for (const std::string& text : {
           std::string("a 1\n"),
           head + "b 1\n",
           head + "a -1\n",
           head + "a 1\na 1\n",
           head + "a{x=y} 1\n",
           head + "a{x=\"y\" 1\n",
           head + "a{x=\"y\\q\"} 1\n",
           head + "a one\n",
           head + "a 1",
           head + head,
           histogram + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
           histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
           histogram + "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n",
           histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
           histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n",
       }) {
    EXPECT_FALSE(ParseMetrics(text).ok()) << text;
  }
}

std::string TypeName(prometheus::MetricType type) {
  if (type == prometheus::MetricType::Counter) return "counter";
  return type == prometheus::MetricType::Gauge ? "gauge" : "histogram";
}

TEST(MetricsDocument, ListsWhatIsServed) {
  std::vector<std::string> expected;
  for (const MetricRow& row : MetricTable()) {
    if (*row.meaning == 0) continue;  // Another part of the row before.
    const std::string alias = *row.alias == 0 ? "" : absl::StrCat("`vllm:", row.alias, "`");
    expected.push_back(absl::StrJoin(
        {absl::StrCat("| `", row.name, "`"), TypeName(row.type), std::string(row.unit),
         std::string(row.labels), std::string(row.meaning), alias + " |"},
        " | "));
  }
  std::ifstream file(REGATTA_SOURCE_DIR "/docs/METRICS.md");
  ASSERT_TRUE(file.good());
  std::vector<std::string> listed;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "| `regatta_")) listed.push_back(line);
  }
  EXPECT_EQ(listed, expected) << "what docs/METRICS.md should list:\n"
                              << absl::StrJoin(expected, "\n");
}

}  // namespace
}  // namespace regatta
