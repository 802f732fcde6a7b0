// trtllm-bench's report as it is printed: the article's sample, ours, today's, and hostile ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_replace.h"
#include "orchestrator/report/report.h"
#include "tests/orchestrator/formats/small_run.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

std::string Article() {
  std::ifstream file(REGATTA_SOURCE_DIR "/tests/orchestrator/testdata/article_report.txt");
  EXPECT_TRUE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::vector<StoredRun>> Import(const std::string& text) {
  return ImportFiles({{"log.txt", text}}, {});
}

std::vector<TextFile> Only(const std::string& ending, std::vector<TextFile> files) {
  std::erase_if(files, [&](const TextFile& file) { return !file.name.ends_with(ending); });
  return files;
}

// From the figures to the end of what trtllm-bench prints.
std::string Overview(const PointReport& point) {
  const std::string text = RenderTerminalReport(point);
  const size_t begin = text.find("= PERFORMANCE OVERVIEW");
  return text.substr(begin, text.find('\n', text.find("\nP99: ") + 1) - begin);
}

TEST(TrtllmText, TheArticlesReportIsReadWhole) {
  const std::string article = Article();
  const auto runs = Import(article);
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  const SweepReport& sweep = runs->front().sweep;
  EXPECT_EQ(sweep.imported().format(), "trtllm-bench");
  EXPECT_EQ(sweep.imported().tool(), "trtllm-bench 0.21.0rc0");
  EXPECT_EQ(sweep.points(0).regatta().concurrency(), 95u);
  EXPECT_EQ(sweep.points(0).world_info().world_size(), 1u);
  // Its issue rate is no rate, and is not read.
  EXPECT_EQ(RenderTerminalReport(sweep.points(0)),
            absl::StrReplaceAll(article, {{"9.5000E+04", "-"}}));
}

TEST(TrtllmText, OursSurvivesToTheLastDigit) {
  const StoredRun run = SmallRun(/*cancelled=*/21);
  const auto runs = ImportFiles(Only(".txt", Exported(run, "trtllm-bench")), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport &is = runs->front().sweep.points(0), &was = run.sweep.points(0);
  EXPECT_EQ(Overview(is), Overview(was));
  EXPECT_EQ(is.engine().model(), "model-a");
  EXPECT_EQ(is.regatta().layout(), "tp2");
  EXPECT_EQ(is.world_info().world_size(), 2u);
  EXPECT_EQ(is.regatta().concurrency(), 4u);
  EXPECT_EQ(is.regatta().failed_requests(), 1u);
  EXPECT_EQ(is.regatta().cancelled_requests(), 1u);
}

TEST(TrtllmText, BesideItsJsonItIsNoSecondPoint) {
  const auto runs = ImportFiles(Exported(SmallRun(), "trtllm-bench"), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().sweep.points_size(), 1);
}

// Tabs, a section of the machine and other spellings of versions and units; a log around it.
TEST(TrtllmText, OtherReleasesAreRead) {
  const std::string text = absl::StrCat(
      "[TRT-LLM] [I] Model: loading\n",
      absl::StrReplaceAll(
          Article(),
          {{"Model:                  meta", "Model:\t\t\tmeta"},
           {"TensorRT-LLM Version:   0.21.0rc0", "TensorRT LLM Version:\t1.2.0"},
           {"= REQUEST DETAILS\n",
            "= MACHINE DETAILS \n===========================================================\n"
            "NVIDIA H100 80GB HBM3, memory 79.19 GB, 2.62 GHz\n\n"
            "===========================================================\n= REQUEST DETAILS \n"},
           {"Per GPU Output Throughput (tps/gpu):    ",
            "Per GPU Output Throughput (tokens/sec/gpu):"},
           {"KV Memory Percentage:   90.00%", "KV Memory Percentage:   None"},
           {"\n", "\r\n"}}),
      "\nModel: shut down\n");
  const auto runs = Import(text);
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_EQ(point.engine().model(), "meta-llama/Llama-3.1-8B-Instruct");
  EXPECT_EQ(point.engine().version(), "1.2.0");
  EXPECT_EQ(point.machine().name(), "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(point.performance().output_throughput_per_gpu_tok_s(), 11076.77);
  EXPECT_EQ(point.world_info().kv_cache_percentage(), 0);
}

TEST(TrtllmText, BuiltEnginesAreRead) {
  const auto runs = Import(absl::StrReplaceAll(Article(), {{"PYTORCH BACKEND", "ENGINE DETAILS"}}));
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().sweep.points(0).engine().backend(), "trt");
  EXPECT_EQ(runs->front().sweep.points(0).engine().dtype(), "bfloat16");
}

TEST(TrtllmText, ReportsOfOneFileArePoints) {
  const std::string slow = absl::StrReplaceAll(
      Article(),
      {{"requests:  94.6050", "requests:  8.0000"}, {"TP Size:                1", "TP Size: 4"}});
  const auto runs = Import(absl::StrCat(Article(), "between\n", slow));
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->front().sweep.points_size(), 2);
  EXPECT_EQ(runs->front().sweep.points(0).regatta().layout(), "tp4");
  EXPECT_EQ(runs->front().sweep.points(1).regatta().layout(), "tp1");
}

struct Hostile {
  const char *from, *to, *error;
};

class HostileReport : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileReport, IsRefusedByLineAndLabel) {
  const auto& [from, to, error] = GetParam();
  const std::string text = absl::StrReplaceAll(Article(), {{from, to}});
  ASSERT_NE(text, Article());
  EXPECT_THAT(Message(Import(text)), HasSubstr(error));
}

INSTANTIATE_TEST_SUITE_P(
    Reports, HostileReport,
    ::testing::Values(Hostile{"1155.5715", "soon",
                              "log.txt:37: 'Total Latency' is 'soon', must be a number in 0.."},
                      Hostile{"1155.5715", "-1", "'Total Latency' is '-1'"},
                      Hostile{"1155.5715", "nan", "'Total Latency' is 'nan'"},
                      Hostile{"1155.5715", "1e300", "'Total Latency' is '1e300'"},
                      Hostile{"1155.5715", "\x1b[2J\xff", "'Total Latency' is '\\x1b[2J\\xff'"},
                      Hostile{"8.1306", "x", "log.txt:48: '[TPOT] MAXIMUM' is 'x'"},
                      Hostile{"90.00%", "90 of 100", "'KV Memory Percentage' is '90 of 100'"},
                      Hostile{"8B-Instruct", "\xc3", "log.txt:5: is not UTF-8"},
                      Hostile{"PYTORCH", "\xc3", "log.txt:3: is not UTF-8"},
                      Hostile{"256.0000\nMAX", "\nMAX",
                              "'MIN' has 2 numbers, must have 3: of input, output and both"},
                      Hostile{"requests:             100", "requests: 1.5",
                              "'num_requests' is 1.5, must be a whole"},
                      Hostile{"TP Size:                1", "TP Size: 5000000000",
                              "'tp_size' is 5000000000.0"},
                      Hostile{"Total Latency", "Latency",
                              "log.txt:3: the report that begins here has no line 'Total Latency': "
                              "was it cut off?"}));

TEST(TrtllmText, ALongValueIsShownInPart) {
  const std::string text =
      absl::StrReplaceAll(Article(), {{"1155.5715", std::string(1'000'000, 'x')}});
  EXPECT_LT(Message(Import(text)).size(), 200u);
}

TEST(TrtllmText, ReportsOfAFileAreBounded) {
  std::string text;
  for (int i = 0; i <= 10'000; ++i) {
    absl::StrAppend(&text, std::string(59, '='), "\n= PERFORMANCE OVERVIEW\n", std::string(59, '='),
                    "\nRequest Throughput: 1\nTotal Output Throughput: 1\nTotal Latency: 1\n");
  }
  EXPECT_THAT(Message(Import(text)), HasSubstr("is one report too many, there may be 10000"));
}

}  // namespace
}  // namespace regatta
