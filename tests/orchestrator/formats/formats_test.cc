// Formats of other tools: what is written is read back with the same figures, and nothing hostile
// gets through.
#include "orchestrator/formats/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "orchestrator/statistics/user_speed.h"
#include "tests/orchestrator/formats/small_run.h"

namespace regatta {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json Parsed(const TextFile& file) { return json::parse(file.text); }

std::vector<TextFile> JsonOnly(std::vector<TextFile> files) {
  std::erase_if(files, [](const TextFile& f) { return f.name.ends_with(".txt"); });
  return files;
}

class RoundTrip : public ::testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, FiguresSurvive) {
  const StoredRun run = SmallRun();
  const auto runs = ImportFiles(JsonOnly(Exported(run, GetParam())), ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  const SweepReport& sweep = runs->front().sweep;
  EXPECT_EQ(sweep.imported().format(), GetParam());
  ASSERT_EQ(sweep.points_size(), 1);
  const PointReport &was = run.sweep.points(0), &is = sweep.points(0);
  EXPECT_EQ(is.engine().model(), "model-a");
  EXPECT_EQ(is.machine().name(), "GPU X");
  EXPECT_EQ(is.world_info().world_size(), 2u);
  EXPECT_NEAR(is.performance().output_throughput_per_gpu_tok_s(),
              was.performance().output_throughput_per_gpu_tok_s(), 1e-6);
  EXPECT_NEAR(is.performance().system_total_throughput_tok_s(),
              was.performance().system_total_throughput_tok_s(), 1e-6);
  const auto &s = is.streaming_metrics(), &t = was.streaming_metrics();
  EXPECT_NEAR(s.ttft_percentiles().p50(), t.ttft_percentiles().p50(), 1e-6);
  EXPECT_NEAR(s.tpot_percentiles().p99(), t.tpot_percentiles().p99(), 1e-6);
  EXPECT_NEAR(s.avg_tpot_ms(), t.avg_tpot_ms(), 1e-6);
  EXPECT_NEAR(is.performance().request_latency_percentiles_ms().p90(),
              was.performance().request_latency_percentiles_ms().p90(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip,
                         ::testing::Values("vllm", "aiperf", "inferencex", "trtllm-bench"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Vllm, HasItsNamesAndUnits) {
  const json out = Parsed(Exported(SmallRun(), "vllm")[0]);
  EXPECT_EQ(out["completed"], 39);
  EXPECT_EQ(out["failed"], 1);
  EXPECT_EQ(out["max_concurrency"], 4);
  EXPECT_EQ(out["request_rate"], "inf");
  EXPECT_NEAR(out["mean_ttft_ms"].get<double>(), 14.0, 0.1);
  ASSERT_EQ(out["ttfts"].size(), 40u);
  EXPECT_NEAR(out["ttfts"][0].get<double>(), 0.012, 1e-9);  // seconds
  EXPECT_EQ(out["errors"][0], "");
  EXPECT_EQ(out["output_lens"][13], 0);
}

TEST(Vllm, WithoutDetails_SpeedIsTheInverseOfTheMedianAndSaidSo) {
  const TextFile file = {"v.json", R"({"duration": 10, "completed": 40, "failed": 0,
      "model_id": "m", "max_concurrency": 4, "total_input_tokens": 4000, "total_output_tokens": 800,
      "output_throughput": 80, "total_token_throughput": 480, "request_throughput": 4,
      "mean_ttft_ms": 20, "median_ttft_ms": 18, "p99_ttft_ms": 40, "mean_tpot_ms": 11,
      "median_tpot_ms": 10, "p99_tpot_ms": NaN, "tensor_parallel_size": "2"})"};
  const auto runs = ImportFiles({file}, ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_DOUBLE_EQ(point.streaming_metrics().token_output_speed_tok_s(), 100);
  EXPECT_TRUE(point.regatta().streaming());
  EXPECT_DOUBLE_EQ(point.performance().output_throughput_per_gpu_tok_s(), 40);
  EXPECT_EQ(point.request_info().avg_output_length(), 20);
  EXPECT_THAT(runs->front().sweep.imported().notes(0), HasSubstr("1 / median TPOT"));
  EXPECT_TRUE(runs->front().requests.empty());
}

TEST(Aiperf, RecordsAloneAreEnough) {
  std::vector<TextFile> files = Exported(SmallRun(), "aiperf");
  ASSERT_EQ(files.size(), 2u);
  ImportOptions options;
  options.concurrency = 4;
  const auto runs = ImportFiles({files[1]}, options);
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().requests.size(), 40u);
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_EQ(point.regatta().failed_requests(), 1u);
  EXPECT_NEAR(point.streaming_metrics().avg_ttft_ms(), 14.0, 0.1);
}

TEST(Aiperf, TimesBeyondTheirNanosecondsStayTheLastOne) {
  StoredRun run = SmallRun();
  run.sweep.mutable_points(0)->mutable_regatta()->set_started_utc("9999-12-31T00:00:00Z");
  const std::string lines = Exported(run, "aiperf")[1].text;
  EXPECT_THAT(lines, HasSubstr("\"request_end_ns\":9223372036854775807"));
  EXPECT_THAT(lines, ::testing::Not(HasSubstr("_ns\":-")));
}

TEST(Aiperf, ConcurrencyComesFromThePhaseThatMeasures) {
  const TextFile file = {"a/p.json", R"({"request_latency": {"unit": "ms", "avg": 5},
      "request_count": {"unit": "requests", "avg": 9}, "request_throughput": {"avg": 1},
      "output_token_throughput": {"avg": 7}, "input_config": {"models": {"items": [{"name": "m"}]}, "phases": [
      {"name": "warmup", "concurrency": 2}, {"name": "profiling", "concurrency": 16}]}})"};
  const auto runs = ImportFiles({file}, ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().sweep.points(0).regatta().concurrency(), 16u);
  EXPECT_EQ(runs->front().sweep.points(0).engine().model(), "m");
}

// Rows of two devices; one of them with prefill and decode apart.
constexpr char kRows[] = R"([
  {"hw": "h100", "tp": 8, "ep": 1, "dp_attention": "false", "conc": 64, "model": "m",
   "framework": "vllm", "precision": "fp4", "tput_per_gpu": 2000, "output_tput_per_gpu": 1000,
   "input_tput_per_gpu": 1000, "mean_ttft": 0.06, "median_ttft": 0.05, "p99_ttft": 0.2,
   "mean_tpot": 0.011, "median_tpot": 0.01, "median_intvty": 100, "median_e2el": 9.8},
  {"hw": "h100", "tp": 4, "conc": 4, "model": "m", "framework": "vllm", "precision": "fp4",
   "tput_per_gpu": 400, "output_tput_per_gpu": 200, "median_tpot": 0.005},
  {"hw": "b200", "conc": 64, "model": "m", "framework": "vllm", "precision": "fp4",
   "num_prefill_gpu": 4, "num_decode_gpu": 12, "isl": 1024, "osl": 1024, "decode_tp": 4,
   "tput_per_gpu": 900, "output_tput_per_gpu": 600, "median_tpot": 0.01}])";

TEST(Inferencex, RowsOfADeviceAreOneRunInOrderOfConcurrency) {
  const auto runs = ImportFiles({{"agg.json", kRows}}, ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 2u);
  const SweepReport& h100 = (*runs)[1].sweep;
  ASSERT_EQ(h100.points_size(), 2);
  EXPECT_EQ(h100.points(0).regatta().concurrency(), 4u);
  EXPECT_EQ(h100.points(0).regatta().layout(), "tp4");
  EXPECT_DOUBLE_EQ(h100.points(0).streaming_metrics().token_output_speed_tok_s(), 200);
  EXPECT_DOUBLE_EQ(h100.points(1).performance().output_throughput_per_gpu_tok_s(), 1000);
  EXPECT_DOUBLE_EQ(h100.points(1).streaming_metrics().ttft_percentiles().p50(), 50);
  EXPECT_EQ(h100.points(1).request_info().num_requests(), 640u);
}

TEST(Inferencex, OutputOfDecodeGpus_IsSpreadOverAll) {
  const auto runs = ImportFiles({{"agg.json", kRows}}, ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& b200 = (*runs)[0].sweep.points(0);
  EXPECT_EQ(b200.world_info().world_size(), 16u);
  EXPECT_DOUBLE_EQ(b200.performance().output_throughput_per_gpu_tok_s(), 600 * 12 / 16.0);
  EXPECT_NEAR(b200.request_info().avg_input_length(), 921.6, 1e-9);
}

TEST(Inferencex, LengthsAndCountsSurviveAnyNumberOfRoundTrips) {
  StoredRun run = SmallRun();
  const RequestInfo was = run.sweep.points(0).request_info();
  ASSERT_NE(was.num_requests(), 10 * run.sweep.points(0).regatta().concurrency());
  for (int trip = 0; trip < 3; ++trip) {
    const auto runs = ImportFiles(Exported(run, "inferencex"), ImportOptions());
    ASSERT_TRUE(runs.ok()) << runs.status();
    run = runs->front();
    const RequestInfo& is = run.sweep.points(0).request_info();
    EXPECT_DOUBLE_EQ(is.avg_input_length(), was.avg_input_length()) << trip;
    EXPECT_DOUBLE_EQ(is.avg_output_length(), was.avg_output_length()) << trip;
    EXPECT_EQ(is.num_requests(), was.num_requests()) << trip;
    EXPECT_EQ(Parsed(Exported(run, "inferencex")[0])[0]["isl"], 120) << trip;
  }
}

TEST(Inferencex, LengthsThatTheProtocolDrewAreAdvertisedAtTheirLongest) {
  StoredRun run = SmallRun();
  run.sweep.mutable_points(0)->mutable_regatta()->set_protocol("inferencemax");
  const json row = Parsed(Exported(run, "inferencex")[0])[0];
  EXPECT_EQ(row["isl"], 139);
  EXPECT_EQ(row["osl"], 16);
  EXPECT_EQ(row["mean_isl"], run.sweep.points(0).request_info().avg_input_length());
}

TEST(Inferencex, WritesInteractivityAsTheirScriptDoes) {
  const json rows = Parsed(Exported(SmallRun(), "inferencex")[0]);
  ASSERT_EQ(rows.size(), 1u);
  const json& row = rows[0];
  EXPECT_NEAR(row["median_intvty"].get<double>(), 1 / row["median_tpot"].get<double>(), 1e-9);
  EXPECT_NEAR(row["tput_per_gpu"].get<double>(),
              row["output_tput_per_gpu"].get<double>() + row["input_tput_per_gpu"].get<double>(),
              1e-9);
  EXPECT_EQ(row["isl"], 120);  // the mean
}

// The lengths of a sweep's points are drawn anew for each.
TEST(Import, PointsWithNearlyTheSameLengthsAreOneFrontier) {
  std::string rows =
      "concurrency,on_frontier,output_throughput_tok_s,output_throughput_per_gpu_tok_s,";
  rows += "mean_input_tokens,mean_output_tokens\n";
  rows += "1,1,10,10,60.2,31\n2,1,18,18,57.9,32.4\n4,1,30,30,61,33\n1,1,9,9,128,32\n";
  const auto runs = ImportFiles({{"s.csv", rows}}, {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 2u);
  EXPECT_EQ((*runs)[0].sweep.points_size(), 3);
  EXPECT_EQ((*runs)[1].sweep.points_size(), 1);
}

// A run with `--no-streaming`: the server's answers came whole, their only time is the last one.
StoredRun RunOfWholeAnswers() {
  StoredRun run = SmallRun();
  for (RequestRecord& r : run.requests) r.set_first_token_ms(r.last_token_ms());
  PointReport& point = *run.sweep.mutable_points(0);
  PointReport context;
  *context.mutable_engine() = point.engine();
  *context.mutable_regatta()->mutable_started_utc() = point.regatta().started_utc();
  context.mutable_regatta()->set_run_number(1);
  context.mutable_regatta()->set_concurrency(4);
  point = CompletePoint(context, {run.requests, {}});
  return run;
}

class WholeAnswers : public ::testing::TestWithParam<const char*> {};

TEST_P(WholeAnswers, HaveNoTokenTimes) {
  const StoredRun run = RunOfWholeAnswers();
  const auto runs = ImportFiles(Exported(run, GetParam()), ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport &was = run.sweep.points(0), &is = runs->front().sweep.points(0);
  ASSERT_FALSE(was.has_streaming_metrics());
  EXPECT_FALSE(is.has_streaming_metrics());
  EXPECT_FALSE(is.regatta().streaming());
  EXPECT_FALSE(is.regatta().has_user_speed_tok_s());
  EXPECT_FALSE(is.regatta().has_ttft_scheduled_ms());
  EXPECT_NEAR(is.performance().request_latency_percentiles_ms().p50(),
              was.performance().request_latency_percentiles_ms().p50(), 1e-3);
  EXPECT_NEAR(UserSpeed(is), UserSpeed(was), 1e-3);
  for (const RequestRecord& r : runs->front().requests) EXPECT_EQ(r.first_token_ms(), 0);
}

INSTANTIATE_TEST_SUITE_P(Formats, WholeAnswers,
                         ::testing::Values("vllm", "aiperf", "csv", "markdown"));

class RemoteLayout : public ::testing::TestWithParam<const char*> {};

TEST_P(RemoteLayout, IsThatOfTheRun) {
  StoredRun run = SmallRun();
  run.sweep.mutable_points(0)->mutable_regatta()->set_layout("remote");
  run.sweep.mutable_points(0)->mutable_world_info()->clear_tp_size();
  const auto runs = ImportFiles(Exported(run, GetParam()), ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().sweep.points(0).regatta().layout(), "remote");
}

INSTANTIATE_TEST_SUITE_P(Formats, RemoteLayout,
                         ::testing::Values("vllm", "aiperf", "inferencex", "csv", "markdown"));

class CancelledRoundTrip : public ::testing::TestWithParam<const char*> {};

TEST_P(CancelledRoundTrip, IsNeitherCompletedNorFailed) {
  const auto runs = ImportFiles(Exported(SmallRun(/*cancelled=*/21), GetParam()), ImportOptions());
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_EQ(point.request_info().num_requests(), 38u);
  EXPECT_EQ(point.regatta().failed_requests(), 1u);
  EXPECT_EQ(point.regatta().cancelled_requests(), 1u);
  if (runs->front().requests.empty()) return;
  const auto was = SmallRun(/*cancelled=*/21);
  EXPECT_NEAR(point.request_info().avg_num_concurrent_requests(),
              was.sweep.points(0).request_info().avg_num_concurrent_requests(), 1e-3)
      << "what it took counts in what is in flight";
}

INSTANTIATE_TEST_SUITE_P(Formats, CancelledRoundTrip,
                         ::testing::Values("vllm", "aiperf", "csv", "markdown"));

TEST(Export, UnknownFormat_NamesTheKnownOnes) {
  const auto files = ExportRun(SmallRun(), "yaml");
  EXPECT_THAT(std::string(files.status().message()), HasSubstr("'yaml', must be one of vllm"));
}

TEST(Export, NothingCompleted_IsRefused) {
  StoredRun run;
  run.sweep.add_points();
  EXPECT_FALSE(ExportRun(run, "vllm").ok());
}

struct Hostile {
  const char* text;
  const char* error;
};

class HostileImport : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileImport, IsRefusedByName) {
  const auto runs = ImportFiles({{"f.json", GetParam().text}}, ImportOptions());
  ASSERT_FALSE(runs.ok());
  EXPECT_THAT(std::string(runs.status().message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Imports, HostileImport,
    ::testing::Values(
        Hostile{"", "nothing in the files"}, Hostile{"a note\n{}", "f.json: is in no known format"},
        Hostile{"{", "f.json: is not valid JSON at line 1, column 2"},
        Hostile{"[{", "f.json: is not valid JSON at line 1, column 3"},
        Hostile{"[1.5e3, 2", "f.json: is not valid JSON"},
        Hostile{"[TRT-LLM] [I] a cut log\n", "f.json: is in no known format"},
        Hostile{"[11/27/2026-10:00:00] [I] another\n", "f.json: is in no known format"},
        Hostile{"[2026-11-27 10:00:00] a third\n", "f.json: is in no known format"},
        Hostile{"[]", "nothing in the files"}, Hostile{"3", "f.json: is in no known format"},
        Hostile{R"({"duration": "x", "completed": 1, "output_throughput": 1})",
                R"(f.json: 'duration' is "x", must be a number in 0..)"},
        Hostile{R"({"duration": -1, "completed": 1, "output_throughput": 1})", "'duration' is -1"},
        Hostile{R"({"duration": NaN, "completed": 1, "output_throughput": 1})",
                "has no 'duration'"},
        Hostile{R"({"duration": 1e999, "completed": 1, "output_throughput": 1})",
                "is not valid JSON"},
        Hostile{R"({"duration": 1, "completed": 1.5, "output_throughput": 1})",
                "'completed' is 1.5, must be a whole number"},
        Hostile{R"({"duration": 1, "completed": 1, "output_throughput": 1})",
                "f.json: does not say its concurrency, nor a rate of requests: give --concurrency"},
        Hostile{R"({"duration": 1, "completed": 1, "output_throughput": 1, "output_lens": [1, 2],
                    "input_lens": [1], "ttfts": [1, 1], "latencies": [1, 1], "start_times": [1, 1]})",
                "has 1 elements, 'output_lens' has 2"},
        Hostile{R"({"duration": 1, "completed": 1, "output_throughput": 1, "output_lens": [1],
                    "input_lens": [null], "ttfts": [1], "latencies": [1], "start_times": [1]})",
                "request 0 has a figure that is no number"},
        Hostile{R"({"duration": 1, "completed": 1, "output_throughput": 1, "output_lens": [1, 2],
                    "input_lens": [1, 2], "ttfts": [1, 1], "latencies": [1, 1],
                    "start_times": [1, 1], "queue_times": [0]})",
                "f.json: an array of the requests has 1 elements, 'output_lens' has 2"},
        Hostile{R"([{"hw": "h", "tput_per_gpu": {}}])", "f.json[0]: "},
        Hostile{R"([{"hw": "h", "tput_per_gpu": 1, "num_gpus": 0}])",
                "f.json[0]: 'num_gpus' is 0, must be a whole number in 1..4294967295"},
        Hostile{R"({"request_latency": {"avg": []}, "request_throughput": {"avg": 1},
                    "output_token_throughput": {"avg": 1}})",
                "f.json: request_latency: 'avg' is an array"},
        Hostile{R"({"request_latency": {}, "input_config": []})", "has no 'avg'"},
        Hostile{R"({"request_latency": {}, "input_config": {"phases": [3]}})",
                "f.json: input_config: phases: is 3, must be an object"},
        Hostile{R"({"metadata": {"request_start_ns": 1, "was_cancelled": 1}, "metrics": {}})",
                "'was_cancelled' is 1, must be true or false"},
        Hostile{"{\"metadata\": {}, \"metrics\": {}}\n{\"hw\": 1, \"tput_per_gpu\": 1}",
                "f.json:2: is inferencex, the files before it are aiperf"}));

TEST(Import, AFileThatIsTooLarge_IsRefusedBeforeItIsParsed) {
  const auto runs = ImportFiles({{"big.json", std::string((1 << 28) + 1, ' ')}}, ImportOptions());
  ASSERT_FALSE(runs.ok());
  EXPECT_THAT(std::string(runs.status().message()), HasSubstr("must have at most 268435456"));
}

TEST(Import, DeepNesting_IsNoProblem) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_FALSE(ImportFiles({{"deep.json", deep}}, ImportOptions()).ok());
}

TEST(Distribution, IsNumpys) {
  const Distribution values({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(values.mean(), 2.5);
  EXPECT_DOUBLE_EQ(values.At(0.5), 2.5);
  EXPECT_NEAR(values.Deviation(0), 1.1180339887, 1e-9);
  EXPECT_NEAR(values.Deviation(1), 1.2909944487, 1e-9);
  EXPECT_EQ(Distribution({}).At(0.5), 0);
}

TEST(RequestsOf, RunsOfOneConcurrencyAreToldApart) {
  StoredRun run = SmallRun();
  EXPECT_EQ(RequestsOf(run, run.sweep.points(0)).size(), 40u);
  PointReport& second = *run.sweep.add_points() = run.sweep.points(0);
  second.mutable_regatta()->set_run_number(2);
  for (int i = 0; i < 3; ++i) {
    run.requests.push_back(run.requests[i]);
    run.requests.back().set_run_number(2);
  }
  EXPECT_EQ(RequestsOf(run, run.sweep.points(0)).size(), 40u);
  EXPECT_EQ(RequestsOf(run, second).size(), 3u);
  second.mutable_regatta()->set_run_number(0);
  EXPECT_THAT(RequestsOf(run, second), ElementsAre());
}

}  // namespace
}  // namespace regatta
