// Whole runs of the `regatta` program against the null server: files, exit codes, Ctrl-C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/report/report.h"
#include "orchestrator/workload/dataset.h"
#include "proto/comparison.pb.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class BenchmarkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(::testing::TempDir()) /
           absl::StrCat("benchmark-", ::getpid(), "-",
                        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(dir_);
    DatasetEntry entry;
    entry.input_ids = {5, 6, 7, 8};
    entry.output_tokens = 10;
    entry.synthetic = true;
    std::vector<DatasetEntry> entries(8, entry);
    ASSERT_TRUE(WriteDataset(entries, dataset()).ok());
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string dataset() const { return (dir_ / "data.jsonl").string(); }

  std::unique_ptr<NullServer> Serve(const NullTiming& timing) {
    auto server = NullServer::Start("127.0.0.1:0", timing, TlsOptions());
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), REGATTA_BIN_DIR "/regatta");
    auto child = ChildProcess::Start("regatta", arguments, log());
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  // How it ended, "still running" after 30 s.
  std::string Await(ChildProcess& child) {
    for (int i = 0; i < 3000; ++i) {
      if (const auto ended = child.Ended(); ended.has_value()) return *ended;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return "still running";
  }
  std::string RunToEnd(const std::vector<std::string>& arguments) {
    return Await(*Start(arguments));
  }

  std::string log() const { return (dir_ / "log").string(); }
  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(log()).rdbuf();
    return text.str();
  }
  std::string results() const { return (dir_ / "results").string(); }
  // Progress is shown every two seconds.
  void AwaitInLog(const std::string& text) {
    for (int i = 0; i < 600 && !absl::StrContains(Log(), text); ++i) {
      absl::SleepFor(absl::Milliseconds(50));
    }
    EXPECT_THAT(Log(), HasSubstr(text));
  }
  // The only run directory.
  std::string RunPath() const {
    EXPECT_EQ(std::distance(fs::directory_iterator(results()), {}), 1);
    return fs::directory_iterator(results())->path().string();
  }
  std::vector<std::string> Sweep(const NullServer& server, const std::string& concurrency) const {
    return {"sweep",     "--url",    absl::StrCat("grpc://", server.address()),
            "--dataset", dataset(),  "--concurrency",
            concurrency, "--output", results()};
  }

  fs::path dir_;
};

TEST_F(BenchmarkTest, ASweepLeavesEveryFileAndExitsWithZero) {
  const auto server = Serve({1'000'000, 1'000'000, 1});
  auto arguments = Sweep(*server, "1,4");
  arguments.insert(arguments.end(),
                   {"--markdown", "--num_requests", "8", "--export", "vllm,markdown"});
  ASSERT_EQ(RunToEnd(arguments), "exit code 0") << Log();
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_TRUE(sweep->completed());
  EXPECT_EQ(sweep->schema(), "regatta-sweep-1");
  EXPECT_THAT(sweep->command(), HasSubstr("regatta sweep --url grpc://"));
  EXPECT_EQ(sweep->working_directory(), fs::current_path().string());
  ASSERT_EQ(sweep->points_size(), 2);
  EXPECT_EQ(sweep->points(1).regatta().concurrency(), 4u);
  EXPECT_EQ(sweep->points(1).request_info().num_requests(), 8u);
  EXPECT_EQ(sweep->points(1).regatta().length_mismatches(), 0u);
  EXPECT_FALSE(sweep->points(1).regatta().performance_figure());
  for (const char* name : {"requests.jsonl", "summary.csv", "summary.md", "report.html",
                           "pareto.svg", "export/vllm-c1.json", "export/vllm-c4.json"}) {
    EXPECT_TRUE(fs::exists(fs::path(RunPath()) / name)) << name;
  }
  const auto text = [this](const char* name) {
    std::ifstream file(fs::path(RunPath()) / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(text("export/summary.md"), text("summary.md"));
  EXPECT_THAT(text("export/summary.md"), Not(HasSubstr("not completed")));
  EXPECT_THAT(Log(), HasSubstr("= PERFORMANCE OVERVIEW"));
  EXPECT_THAT(Log(), HasSubstr("not a performance figure"));
  EXPECT_THAT(Log(), HasSubstr("2 points, 16 requests: "));
  ASSERT_EQ(RunToEnd({"report", RunPath()}), "exit code 0") << Log();
}

TEST_F(BenchmarkTest, ThroughputWritesThePointAsJson) {
  const auto server = Serve({});
  const std::string json = (dir_ / "point.json").string();
  ASSERT_EQ(RunToEnd({"throughput", "--url", absl::StrCat("grpc://", server->address()),
                      "--dataset", dataset(), "--output", results(), "--report_json", json,
                      "--concurrency", "-1", "--no-streaming", "--stream-mode", "per-request"}),
            "exit code 0")
      << Log();
  std::ostringstream text;
  text << std::ifstream(json).rdbuf();
  PointReport point;
  ASSERT_TRUE(FromJson(text.str(), point).ok());
  EXPECT_EQ(point.request_info().num_requests(), 8u);  // the whole data set at once
  EXPECT_EQ(point.regatta().concurrency(), 0u);
  EXPECT_FALSE(point.has_streaming_metrics());
  EXPECT_THAT(point.regatta().run().command(), HasSubstr("regatta throughput --url grpc://"));
  EXPECT_THAT(point.regatta().run().configuration(), HasSubstr("stream-mode=\"per-request\""));
  EXPECT_GT(point.regatta().run().environment().cpus(), 0u);
}

// The points are kept and said to be, whatever else cannot be written.
TEST_F(BenchmarkTest, AReportThatDoesNotFitTheDiskDoesNotHideTheResults) {
  const auto server = Serve({});
  ASSERT_EQ(RunToEnd({"sweep", "--url", absl::StrCat("grpc://", server->address()), "--dataset",
                      dataset(), "--output", results(), "--report-json", "/dev/full",
                      "--concurrency", "1", "--num-requests", "2"}),
            "exit code 1")
      << Log();
  EXPECT_THAT(Log(), HasSubstr("cannot write '/dev/full': No space left on device"));
  EXPECT_THAT(Log(), HasSubstr("Results: " + RunPath()));
  EXPECT_THAT(Log(), HasSubstr("Repeat:  "));
  EXPECT_TRUE(LoadResults(RunPath())->completed());
}

TEST_F(BenchmarkTest, TwoServersAreComparedInTurn) {
  // B takes three times as long for each token, which no busy machine hides.
  const auto a = Serve({1'000'000, 2'000'000, 1}), b = Serve({1'000'000, 6'000'000, 1});
  const std::string json = (dir_ / "comparison.json").string();
  const std::vector<std::string> arguments = {"compare",
                                              "--a",
                                              "grpc://" + a->address(),
                                              "--b",
                                              "grpc://" + b->address(),
                                              "--dataset",
                                              dataset(),
                                              "--concurrency",
                                              "2",
                                              "--num-requests",
                                              "4",
                                              "--warmup",
                                              "0",
                                              "--json",
                                              json,
                                              "--no-calibrate",
                                              "--output",
                                              results(),
                                              "--fail-if",
                                              "mean_tpot>+50%",
                                              "--fail-if",
                                              "mean_tpot<-50%"};
  ASSERT_EQ(RunToEnd(arguments), "exit code 4") << Log();
  std::ostringstream text;
  text << std::ifstream(json).rdbuf();
  Comparison comparison;
  ASSERT_TRUE(FromJson(text.str(), comparison).ok());
  ASSERT_EQ(comparison.loads_size(), 1);
  EXPECT_TRUE(comparison.loads(0).paired());
  EXPECT_EQ(comparison.loads(0).runs_a(), 5u);
  ASSERT_EQ(comparison.gates_size(), 2);
  EXPECT_EQ(comparison.gates(0).outcome(), GATE_HOLDS);
  EXPECT_EQ(comparison.gates(1).outcome(), GATE_EXCLUDED);
  for (const char* name : {"comparison.json", "comparison.md", "comparison.svg"}) {
    EXPECT_TRUE(fs::exists(fs::path(RunPath()) / name)) << name;
  }
  // In turn, odd repeats A first: no run begins before the one before it has.
  const auto run_a = LoadResults(comparison.a().path()), run_b = LoadResults(comparison.b().path());
  ASSERT_TRUE(run_a.ok() && run_b.ok());
  ASSERT_EQ(run_a->runs_size(), 5);
  const auto started = [](const SweepReport& run, int i) {
    return run.runs(i).regatta().started_utc();
  };
  EXPECT_LE(started(*run_a, 0), started(*run_b, 0));
  EXPECT_LE(started(*run_b, 1), started(*run_a, 1));
  // The stored runs are still known as pairs.
  ASSERT_EQ(RunToEnd({"compare", comparison.a().path(), comparison.b().path()}), "exit code 0")
      << Log();
  EXPECT_THAT(Log(), HasSubstr("5 pairs of interleaved runs"));
  ASSERT_EQ(RunToEnd({"compare", comparison.a().path(), comparison.b().path(), "--tp", "2"}),
            "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("--tp has no effect on runs that were measured already"));
}

TEST_F(BenchmarkTest, SidesThatDoNotFitAreRefused) {
  const auto refusal = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "compare");
    EXPECT_EQ(RunToEnd(arguments), "exit code 2");
    return Log();
  };
  EXPECT_THAT(refusal({"--a", "grpc://one:1"}), HasSubstr("give two runs' directories"));
  EXPECT_THAT(refusal({"--a", "--tp two", "--b", "--tp 2"}), HasSubstr("--a '--tp two'"));
  EXPECT_THAT(refusal({"--a", "grpc://one:1 --concurrency 4", "--b", "grpc://two:1"}),
              HasSubstr("have other loads"));
  EXPECT_THAT(refusal({"--a", "http://one:1", "--b", "http://one:1", "--dataset", dataset()}),
              HasSubstr("give each a --cache-salt"));
  EXPECT_THAT(
      refusal({"--a", "grpc://one:1 --export word", "--b", "grpc://two:1", "--output", results()}),
      HasSubstr("--export is 'word', must be one of "));
  EXPECT_THAT(refusal({"--a", "grpc://one:1", "--b", "grpc://two:1", "--adaptive"}),
              HasSubstr("--adaptive"));
  EXPECT_THAT(refusal({"x", "y", "--fail-if", "speed<1%"}), HasSubstr("'speed' is none of"));
}

TEST_F(BenchmarkTest, AnotherToolsProtocolIsKeptToTheLetter) {
  const auto server = Serve({1'000'000, 1'000'000, 1});
  const std::string model = REGATTA_SOURCE_DIR "/tests/models/regatta-dense";
  const std::vector<std::string> sweep = {
      "sweep",    "--url",         absl::StrCat("grpc://", server->address()),
      "--output", results(),       "--concurrency",
      "1,2",      "--no-calibrate"};
  auto arguments = sweep;
  arguments.insert(arguments.end(), {"--compat", "inferencemax", "--model", model});
  ASSERT_EQ(RunToEnd(arguments), "exit code 0") << Log();
  const auto results = LoadResults(RunPath());
  ASSERT_TRUE(results.ok()) << results.status();
  for (const PointReport& point : results->points()) {
    const uint32_t users = point.regatta().concurrency();
    EXPECT_EQ(point.regatta().protocol(), "inferencemax");
    EXPECT_EQ(point.request_info().num_requests(), 10 * users);
    EXPECT_EQ(point.regatta().warmup_requests(), 2 * users);
    EXPECT_GE(point.dataset().isl_stats().minimum(), 102);  // int(0.8 x 128)
    EXPECT_LE(point.dataset().isl_stats().maximum(), 128);
  }
  arguments = sweep;
  arguments.insert(arguments.end(), {"--compat", "inferencemax", "--num-requests", "7"});
  ASSERT_EQ(RunToEnd(arguments), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("--num-requests=7: --compat inferencemax sends 10 requests per "
                               "user; with anything else "));
  ASSERT_EQ(RunToEnd({"sweep", "--compat", "trtllm-bench", "--adaptive"}), "exit code 2");
  EXPECT_THAT(
      Log(),
      HasSubstr("--adaptive=true: --compat trtllm-bench measures the loads that are named; "));
}

TEST_F(BenchmarkTest, RepeatsObjectivesSpeedsAndPriceGiveTheirFigures) {
  const auto server = Serve({1'000'000, 1'000'000, 2});
  auto arguments = Sweep(*server, "1,4");
  arguments.insert(arguments.end(),
                   {"--num-requests", "8", "--repeats", "5", "--warmup", "0", "--goodput",
                    "ttft:60000", "e2el:60000", "--user-speed", "0.01", "--user-speed", "999999",
                    "--max-ttft", "60000", "--gpu-hour-price", "2"});
  ASSERT_EQ(RunToEnd(arguments), "exit code 0") << Log();
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->runs_size(), 10);
  ASSERT_EQ(sweep->points_size(), 2);
  ASSERT_EQ(sweep->repeats_size(), 2);
  EXPECT_EQ(sweep->repeats(1).runs(), 5u);
  EXPECT_GT(sweep->repeats(1).intervals_size(), 5);
  const RegattaInfo& info = sweep->points(1).regatta();
  EXPECT_EQ(info.goodput().good_requests(), 8u);
  EXPECT_DOUBLE_EQ(info.goodput().good_fraction(), 1);
  EXPECT_GT(info.cost().per_million_output_tokens(), 0);
  EXPECT_DOUBLE_EQ(info.tokens_per_message(), 2);
  EXPECT_EQ(info.token_count_mismatches(), 0u);
  EXPECT_EQ(info.latency_split().requests(), 8u);
  ASSERT_EQ(sweep->users_at_speed_size(), 2);
  EXPECT_EQ(sweep->users_at_speed(1).users(), 0u);
  EXPECT_THAT(sweep->configuration(), HasSubstr("repeats=5"));
  EXPECT_THAT(sweep->configuration(), HasSubstr("stall-timeout=120"));  // a default
  EXPECT_THAT(Log(), HasSubstr("9 points, 72 requests"));               // after the first run
  EXPECT_THAT(Log(), HasSubstr("c=4: 5 runs, 95 % intervals of the mean"));
  EXPECT_THAT(Log(), HasSubstr("Users at 999999 tok/s each"));
}

TEST_F(BenchmarkTest, CtrlCKeepsWhatWasMeasured) {
  const auto server = Serve({0, 20'000'000, 1});
  const auto before = ::signal(SIGINT, SIG_DFL);  // a test run in the background may ignore it
  auto child = Start(Sweep(*server, "1,2,4"));
  ::signal(SIGINT, before);
  AwaitInLog("[2/3]");
  ::kill(child->pid(), SIGINT);
  EXPECT_EQ(Await(*child), "exit code 130") << Log();
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_FALSE(sweep->completed());
  ASSERT_GE(sweep->points_size(), 1);
  EXPECT_EQ(sweep->points(0).request_info().num_requests(), 32u);
}

TEST_F(BenchmarkTest, AHangUpIsIgnoredUnderNohup) {
  const auto server = Serve({0, 4'000'000, 1});
  const auto before = ::signal(SIGHUP, SIG_IGN);  // inherited, as nohup does it
  auto child = Start(Sweep(*server, "1,2"));
  ::signal(SIGHUP, before);
  AwaitInLog("2 points, 64 requests");
  ::kill(child->pid(), SIGHUP);
  EXPECT_EQ(Await(*child), "exit code 0") << Log();
}

TEST_F(BenchmarkTest, AServerThatDiesEndsInClearErrors) {
  auto server = Serve({0, 60'000'000, 1});
  auto child = Start(Sweep(*server, "4,8"));
  AwaitInLog("[1/2]");
  server.reset();
  EXPECT_EQ(Await(*child), "exit code 1") << Log();
  EXPECT_THAT(Log(), HasSubstr("failed requests: "));
  EXPECT_THAT(Log(), HasSubstr(" does not serve any more; concurrency 4 is not kept"));
  EXPECT_THAT(Log(), HasSubstr("regatta sweep --resume " + RunPath()));
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->points_size(), 0);
}

// Sends by the clock whatever the server does, and says whether the client kept up.
TEST_F(BenchmarkTest, AnOpenLoopOverRatesIsRecorded) {
  const auto server = Serve({50'000'000, 5'000'000, 1});
  ASSERT_EQ(RunToEnd({"sweep", "--url", absl::StrCat("grpc://", server->address()), "--dataset",
                      dataset(), "--request-rate", "100,inf", "--arrival", "gamma", "--burstiness",
                      "0.5", "--num-requests", "20", "--client-threads", "2",
                      "--request-cancellation-rate", "20", "--output", results()}),
            "exit code 0")
      << Log();
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  ASSERT_EQ(sweep->points_size(), 2);
  const RegattaInfo& first = sweep->points(0).regatta();
  EXPECT_EQ(first.concurrency(), 0u);
  EXPECT_EQ(first.load().arrival(), "gamma");
  EXPECT_EQ(first.load().request_rate(), 100);
  EXPECT_EQ(first.load().burstiness(), 0.5);
  EXPECT_EQ(first.client().threads(), 2u);
  EXPECT_EQ(first.client().bound(), first.client().reasons_size() > 0);
  EXPECT_GT(first.client().calibration().max_events_per_s(), 0);
  EXPECT_EQ(sweep->points(1).regatta().load().arrival(), "burst");
  EXPECT_GT(first.cancelled_requests(), 0u);
  EXPECT_EQ(first.failed_requests(), 0u);
  EXPECT_EQ(first.cancelled_requests() + sweep->points(0).request_info().num_requests(), 20u);
  EXPECT_THAT(Log(), HasSubstr("client_bound: "));
  EXPECT_THAT(Log(), HasSubstr("client: 2 threads take "));
}

// The same over HTTP, where the number of events is the number of tokens.
TEST_F(BenchmarkTest, ANullServerSpeaksHttpToo) {
  const std::string address_file = (dir_ / "address").string();
  auto server = ChildProcess::Start("null-server",
                                    {REGATTA_BIN_DIR "/regatta", "null-server", "--http",
                                     "--listen", "127.0.0.1:0", "--address-file", address_file},
                                    (dir_ / "null.log").string());
  ASSERT_TRUE(server.ok()) << server.status();
  std::string address;
  for (int i = 0; i < 600 && address.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(50));
    std::getline(std::ifstream(address_file), address);
  }
  ASSERT_EQ(RunToEnd({"throughput", "--url", absl::StrCat("http://", address), "--dataset",
                      dataset(), "--concurrency", "4", "--num-requests", "12", "--no-calibrate",
                      "--output", results()}),
            "exit code 0")
      << Log();
  const auto sweep = LoadResults(RunPath());
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const PointReport& point = sweep->points(0);
  EXPECT_EQ(point.request_info().num_requests(), 12u);
  EXPECT_EQ(point.request_info().avg_output_length(), 10);
  EXPECT_EQ(point.regatta().delta_messages(), 120);
  EXPECT_EQ(point.regatta().load().arrival(), "closed-loop");
  EXPECT_FALSE(point.regatta().client().has_calibration());
}

TEST_F(BenchmarkTest, BadInputIsRefusedWithTwo) {
  const auto expect_refusal = [&](const std::vector<std::string>& arguments, const char* message) {
    fs::remove(log());
    EXPECT_EQ(RunToEnd(arguments), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr(message));
  };
  expect_refusal({"sweep", "--concurrency", "1:8"}, "three fields");
  expect_refusal({"sweep", "--concurrency", "8", "--num-requests", "4", "--model", "x"},
                 "--num-requests is 4, must be at least the concurrency 8");
  expect_refusal({"sweep", "--url", "grpc://127.0.0.1:1", "--model", "x", "--concurrency",
                  "1:64:+1", "--num-requests", "100000000"},
                 "the run would send 6400002081 requests");
  expect_refusal({"sweep"}, "give --dataset FILE, or --model DIR");
  expect_refusal({"sweep", "--dataset", dataset()}, "give --model DIR, or --url");
  expect_refusal({"sweep", "--dataset", "/nonexistent.jsonl"}, "cannot read '/nonexistent.jsonl'");
  expect_refusal({"sweep", "--dataset", dataset(), "--url", "ftp://x:1"}, "grpc://");
  for (const char* flag : {"--tp", "--dtype", "--config", "--threads", "--bin-dir"}) {
    expect_refusal({"sweep", "--url", "grpc://127.0.0.1:1", flag, "2"},
                   absl::StrCat(flag, " has no effect with --url").c_str());
  }
  expect_refusal({"sweep", "--url", "grpc://127.0.0.1:1", "--dummy-weights"},
                 "--dummy-weights has no effect with --url");
  expect_refusal({"sweep", "--tp", "0"}, "--tp: 0 is outside 1 to 65536");
  expect_refusal({"sweep", "--max_batch_size", "-1"},
                 "--max-batch-size: -1 is outside 1 to 1048576");
  expect_refusal({"plan", "--model", "m", "--pp", "0"}, "--pp: 0 is outside 1 to 65536");
  expect_refusal(
      {"sweep", "--model", REGATTA_SOURCE_DIR "/tests/models/regatta-dense", "--tp", "3"}, "3");
  expect_refusal({"throughput", "--stream-mode", "x", "--dataset", dataset(), "--model", "m"},
                 "--stream-mode is 'x'");
  expect_refusal({"sweep", "--goodput", "itl:5", "--dataset", dataset()},
                 "'itl' is none of ttft, tpot, e2el");
  expect_refusal({"sweep", "--goodput", "ttft:5", "--no-streaming", "--dataset", dataset()},
                 "--goodput ttft needs --streaming");
  expect_refusal({"sweep", "--user-speed", "5", "--no-streaming", "--dataset", dataset()},
                 "--user-speed needs --streaming");
  expect_refusal({"sweep", "--repeats", "0"}, "--repeats: 0 is outside 1 to 1000");
  expect_refusal({"report", "/nonexistent"}, "cannot read '/nonexistent'");
}

}  // namespace
}  // namespace regatta
